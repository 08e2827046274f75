"""Find the first difference of two runs, and its probable cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Steps = Sequence[tuple[str, Mapping[str, str]]]
_HOSTS = ("random numbers of random", "random numbers of numpy", "random numbers of torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place where two runs differ.

    Attributes:
        when: Such as ``"before iteration 5"``.
        what: What differs first, such as ``"batch"`` or ``"loss loss"``.
        values: The two values, where they can be read.
        count: The number of things that differ there.

    Example:
        >>> steps = [("after iteration 1", {"loss loss": "0.5"})]
        >>> other = [("after iteration 1", {"loss loss": "0.25"})]
        >>> print(first_difference(steps, other))
        after iteration 1: loss loss (0.5 and 0.25)
    """

    when: str
    what: str
    values: tuple[str, str]
    count: int

    def __str__(self) -> str:
        shown = f" ({' and '.join(self.values)})" if self.what.startswith("loss ") else ""
        more = f", and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.when}: {self.what}{shown}{more}"


def first_difference(left: Steps, right: Steps) -> Difference | None:
    """Return the first difference of two runs in the iterations that both have.

    Args:
        left: The state in each step of a run, in order.
        right: That of the other run, which may begin later.
    """
    others = dict(right)
    for when, facts in dict(left).items():  # a rollback repeats iterations; the last one counts
        if when not in others:
            continue
        other = others[when]
        names = [
            name
            for name in {**facts, **other}
            if facts.get(name, "missing") != other.get(name, "missing")
        ]
        if names:
            values = (facts.get(names[0], "missing"), other.get(names[0], "missing"))
            return Difference(when=when, what=names[0], values=values, count=len(names))
    return None


def cause_of_chance(found: Difference, trial: Mapping[str, Any]) -> str:
    """Return why two runs without an interruption differ, probably.

    Args:
        found: Their first difference.
        trial: What one of them has noted.
    """
    if found.what == "batch":
        return (
            f"the data is random without a seed{_generators(trial)}; draw from `random`, numpy or "
            "torch, which the run seeds, or seed the generator"
        )
    if found.what in _HOSTS:
        return "something draws from this generator a number of times that is not fixed"
    return (
        f"an operation on the device ({trial.get('device')}) is not deterministic, or something in "
        "the model draws without a seed; set randomness=dict(deterministic=True)"
    )


def cause_of_resume(
    found: Difference, whole: Mapping[str, Any], again: Mapping[str, Any], rest: Mapping[str, Any]
) -> str:
    """Return why a resumed run differs from one never interrupted, probably.

    Args:
        found: Their first difference.
        whole: What the run without an interruption has noted.
        again: That of its repetition; values that differ there mean nothing.
        rest: That of the resumed run.
    """
    if found.what == "batch":
        return (
            f"the data depends on more than the seed, the epoch and the batch{_generators(whole)}; "
            "draw from `random`, numpy or torch, whose states are saved, and keep no counters in "
            "the dataset, or let the loader have `state_dict` and `load_state_dict`"
        )
    hooks = changed_hooks(whole, again, rest)
    if hooks:
        return f"{hooks[0]}; give the hook `state_dict` and `load_state_dict`"
    if found.what in _HOSTS:
        return (
            "something draws from this generator at the start of a run, after the states were "
            f"restored{_generators(whole)}"
        )
    kind = found.what.partition(" ")[0]
    if kind == "optimizer":
        return (
            "a hook or a schedule changes the optimizer by something that is not in the checkpoint"
        )
    return (
        "the model or a hook keeps values that are not in the checkpoint, such as a counter that "
        "is not a buffer"
    )


def changed_hooks(
    whole: Mapping[str, Any], again: Mapping[str, Any], rest: Mapping[str, Any]
) -> list[str]:
    """Return the hooks of the user's without a state that have other values after a resume."""
    found = []
    for hook, facts in whole["hooks"].items():
        resumed, repeated = rest["hooks"].get(hook, {}), again["hooks"].get(hook, {})
        for name, value in facts.items():
            is_fixed = repeated.get(name) == value
            if is_fixed and resumed.get(name) != value:
                values = f"{value} without the interruption, {resumed.get(name)} with it"
                found.append(f"{hook} has no state, and its `{name}` differs ({values})")
    return found


def _generators(trial: Mapping[str, Any]) -> str:
    places = trial.get("generators") or ()
    return f": {', '.join(places)} is a generator of its own" if places else ""
