# make demo   trains the example and prints where its results are
# make test   runs the tests
# make docs   builds the pages, and prints where they are
# make check  runs the whole gate: format and lint, types, architecture, tests, docs, examples
# make wheels builds the packages into dist/, checks them, and installs each alone
#
# Each makes .venv first if it is missing, and installs again only when a requirement has changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := .venv/.installed

.PHONY: demo test docs check wheels

demo: $(INSTALLED)
	.venv/bin/engine train examples/digits/config.py

test: $(INSTALLED)
	scripts/test

docs: $(INSTALLED)
	scripts/docs

check: $(INSTALLED)
	scripts/check

wheels: $(INSTALLED)
	.venv/bin/python scripts/wheels.py

$(INSTALLED): requirements-dev.txt constraints.txt scripts/install $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Engine needs Python 3.11 or later; this is " + sys.version)'
	@echo "Setting up .venv with $$($(PYTHON) --version); the first time takes a few minutes."
	@scripts/install $(PYTHON) .venv requirements-dev.txt
	@touch $@
