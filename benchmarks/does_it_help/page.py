"""Write the answers of the published ledgers into docs/does_it_help.md, and read the page beside them.

    python -P benchmarks/does_it_help/page.py [--check]

--check writes nothing and exits with 1 where the page does not say what the ledgers hold.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from liftgate.evaluation.records import Comparison
from liftgate.hashing import short
from liftgate.ledger import Ledger
from liftgate.ledger.last_run import read_last_run
from liftgate.ledger.records import DataEntry, StudyEntry
from liftgate.ledger.results import GateResult
from liftgate.ledger.step_costs import step_costs

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "does_it_help.md"
BEGIN, END = "<!-- answers: made by page.py -->\n", "<!-- end of answers -->\n"
HEAD = (
    "| study | answer | mAP50: control → treatment | difference [interval] | level, method | images "
    "| groups (effective) | seeds | trained, all steps | head of the ledger |"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one published ledger holds."""

    name: str
    question: str
    result: GateResult
    compared: Comparison
    seeds: tuple[int, ...]
    training_seconds: float
    all_seconds: float
    n_trained_on: int
    """Images of train of the data set that the first arm was trained on"""
    day: str
    head: str

    @property
    def row(self) -> str:
        """A row of the table."""
        one = self.compared
        assert one.control is not None and one.treatment is not None
        delta = one.delta
        interval = "none" if delta.low is None or delta.high is None else f"[{delta.low:+.4f}, {delta.high:+.4f}]"
        effective = "" if delta.groups_effective is None else f" ({delta.groups_effective:.3g})"
        cells = (
            f"`{self.name}`",
            f"**{self.result.word}**",
            f"{one.control:.4f} → {one.treatment:.4f}",
            f"{delta.estimate:+.4f} {interval}",
            f"{delta.level:.0%} {delta.method}",
            str(delta.n_images),
            f"{delta.n_groups}{effective}",
            ", ".join(map(str, self.seeds)),
            f"{self.training_seconds / 60:.1f} min, {self.all_seconds / 60:.1f} min",
            f"`{short(self.head)}`",
        )
        return f"| {' | '.join(cells)} |"

    @property
    def words(self) -> str:
        """Question, sentence and caveats."""
        lines = [f"**{self.name}: {self.question}** ({self.day}, trained on {self.n_trained_on} images)", ""]
        lines += [f"> {self.result.sentence}", ""]
        lines += [f"- {caveat}" for caveat in self.result.caveats]
        return "\n".join(lines) + "\n"


def read_answer(path: Path) -> Answer:
    """Return the answer of the ledger at `path`, which names its study by its folder."""
    ledger = Ledger(path)
    last = read_last_run(ledger)
    assert last.flow is not None and last.flow.answered_by is not None
    step = last.gate(last.flow.answered_by)
    assert step is not None
    result = GateResult.from_body(step.result)
    assert result.comparison is not None
    trained = last.trained
    return Answer(
        name=path.parent.name,
        question=ledger.records(StudyEntry)[0].question,
        result=result,
        compared=Comparison.from_dict(result.comparison),
        seeds=tuple(sorted({one.result.seed for one in trained})),
        training_seconds=sum(one.result.training_facts.seconds for one in trained),
        all_seconds=step_costs(last.steps, None).seconds,
        n_trained_on=images_trained_on(ledger),
        day=last_day(ledger),
        head=ledger.head,
    )


def images_trained_on(ledger: Ledger) -> int:
    """Return the number of images of train, of the data set that has any."""
    rows = [row for entry in ledger.records(DataEntry) for row in entry.splits if row.split == "train"]
    return max(row.n_images for row in rows)


def last_day(ledger: Ledger) -> str:
    """Return the day of the newest entry, in words."""
    return f"{datetime.fromisoformat(ledger.entries()[-1].time):%B %-d, %Y}"


def answers() -> list[Answer]:
    """Return the answers of all published ledgers, by name."""
    return [read_answer(path) for path in sorted(HERE.glob("ledgers/*/ledger.sqlite"))]


def answers_text() -> str:
    """Return the part of the page that the ledgers decide."""
    found, n_columns = answers(), HEAD.count("|") - 1
    missing = sorted({path.stem for path in HERE.glob("*.yaml")} - {answer.name for answer in found})
    rows = [HEAD, "|" + "---|" * n_columns, *(answer.row for answer in found)]
    rows += [f"| `{name}` | not run yet |{' |' * (n_columns - 2)}" for name in missing]
    return "\n".join(rows) + "\n\n" + "\n".join(answer.words for answer in found)


def with_answers(page: str) -> str:
    """Return the page with the answers of the ledgers between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{answers_text()}\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    page = PAGE.read_text("utf-8")
    if args.check:
        return int(page != with_answers(page))
    PAGE.write_text(with_answers(page), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
