# Functions of scripts/test and scripts/check, which read this file; it is not a program.

# Beside what needs no second core: compiles what most tests import, of which all workers of pytest would compile each
# file, and installs the environments of the later Pythons.
prepare_interpreters() {
  set -m # a process group of its own, so that pip ends with the script
  {
    .venv/bin/python -m compileall -q .venv/lib/python3*/site-packages/{torch,sympy} || true
    scripts/test-interpreters --prepare
  } >/dev/null 2>&1 &
  preparation=$!
  set +m
  trap 'kill -- "-$preparation" 2>/dev/null || true' EXIT
}

test_interpreters() {
  wait "$preparation" || true # if it failed, the next line fails in the same way, and prints why
  scripts/test-interpreters
}
