"""The report page: whole, self-contained, safe, and unable to say a number that it was not given."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import liftgate.reporting
from liftgate.checks.finding import Finding
from liftgate.progress import duration
from liftgate.reporting import ReportContent, number_format, render, render_html
from liftgate.reporting.content import Chart, LineageNode, Series
from liftgate.reporting.page import environment
from liftgate.reporting.plain_answer import plain_answer
from liftgate.stats.interval import Interval, percent
from reporting.sample_report import harmed, sample, two_seeds

NUMBER = re.compile(r"[+\u2212-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[\u2212+-]?\d+)?")


class Seen(HTMLParser):
    """What a person can read or point at: text, titles, labels. Not styles, scripts, coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent += tag in ("style", "script")
        self.parts += [value or "" for name, value in attrs if name in ("title", "aria-label")]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


def leaves(value: object) -> Iterator[object]:
    """Every value in the content, however deep; a sequence's length too, since a page may count."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(key)
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif not isinstance(value, bytes):
        yield value


def sayable(content: ReportContent) -> set[str]:
    """Every number that the page may show: those of the content, rounded in one of the ways that `words` has."""
    allowed = {"0"}  # "no change"
    for value in leaves(content):
        if isinstance(value, str):
            allowed.update(NUMBER.findall(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            for write in (
                number_format.number,
                number_format.signed,
                percent,
                number_format.score,
                number_format.tick,
                number_format.reading,
            ):
                allowed.update(NUMBER.findall(write(value)))
            allowed.update(NUMBER.findall(f"{duration(abs(value))} {number_format.money(value)}"))
    for gate in content.gates:
        allowed.update({str(len(gate.slices.rows))} if gate.slices else ())
        allowed.add(str(len(gate.browser.images)) if gate.browser else "0")
        allowed.add("101")  # thresholds of a curve
    pictures = [p for gate in content.gates for gallery in gate.galleries for p in gallery.pictures]
    for picture in pictures:  # a picture says to a screen reader how many boxes it shows
        allowed.update({str(len(picture.truth)), *(str(len(panel.boxes)) for panel in picture.panels)})
    return allowed


def plain_sentences(content: ReportContent) -> list[str]:
    """The sentences of the first screen, with those of the other gates."""
    return [plain_answer(gate, content).sentence for gate in content.gates]


def test_every_number_on_the_page_is_a_number_of_the_content() -> None:
    content = sample()
    allowed = sayable(content)
    text = re.sub(r"SHA-256", "", " ".join(seen(render_html(content)).parts))
    for sentence in plain_sentences(content):  # rounded outwards: test_plain_answer.py looks at their numbers
        assert sentence in text
        text = text.replace(sentence, "")
    shown = set(NUMBER.findall(text))
    assert len(shown) > 150
    assert shown - allowed == set()


def test_the_check_of_numbers_would_notice_one_that_is_not_in_the_content() -> None:
    content = sample()
    assert content.gates[0].comparison
    other = replace(content.gates[0].comparison, delta=Interval(0.0777, 0.07, 0.08, 0.95, "jackknife-t", 689, 24))
    changed = replace(content, gates=(replace(content.gates[0], comparison=other), *content.gates[1:]))
    shown = set(NUMBER.findall(" ".join(seen(render_html(changed)).parts)))
    assert "+0.0777" in shown - sayable(content)


def test_the_verdict_comes_first_and_in_words() -> None:
    page = " ".join(seen(render_html(sample())).parts)
    question = page.index("Does pre-training on cone-detector lift")
    plain, verdict = page.index("Not settled: ", question), page.index("MARGINAL", question)
    sentence = page.index("neither reached nor ruled out")
    assert question < plain < verdict < sentence < page.index("What was compared") < page.index("Costs")


def test_everything_that_the_issue_asks_for_is_on_the_page() -> None:
    content = sample()
    page = " ".join(" ".join(seen(render_html(content)).parts).split())
    for heading in ("Figures", "Per class", "Training curves", "Data", "Findings", "Costs", "The record"):
        assert heading in page
    gate = content.gates[0]
    assert gate.comparison
    assert gate.comparison.differences[0] in page
    for caveat in gate.verdict.caveats:
        assert caveat in page
    assert "no: confounded" in page
    assert "asked the authors on 3 March" in page
    assert "Most harmed" in page and "Most improved" in page
    assert "61 groups would settle it" in page


def test_no_figure_stands_without_images_groups_level_and_method() -> None:
    page = " ".join(" ".join(seen(render_html(harmed())).parts).split())
    assert "95% interval by jackknife-t, 689 images in 24 groups" in page


def test_several_seeds_have_a_row_each_and_the_one_whose_figures_follow_is_named() -> None:
    content = two_seeds()
    page = " ".join(" ".join(seen(render_html(content)).parts).split())
    assert "Figures of seed" not in " ".join(seen(render_html(sample())).parts)
    part = page[page.index("Every seed On") : page.index("Figures of seed 3")]
    assert "The verdict rests on all of them" in part
    assert part.count("0.7612") == 3  # the control's, which was not trained, beside both seeds; and seed 3's own
    assert "0.7712" in part
    for sentence in plain_sentences(content):
        page = page.replace(sentence, "")
    shown = set(NUMBER.findall(re.sub(r"SHA-256", "", page)))
    assert shown - sayable(content) == set()


def test_long_names_may_break_on_a_phone_and_are_still_escaped() -> None:
    page = render_html(sample())
    assert "best_<wbr>confidence_<wbr>median" in page
    assert "&lt;wbr" not in page


def test_an_interval_that_cannot_be_established_is_said_and_not_drawn() -> None:
    content = harmed()
    gate = content.gates[0]
    assert gate.comparison
    none = Interval(0.03, None, None, 0.95, "jackknife-t", 40, 4, note="4 groups are fewer than 5.")
    shown = replace(content, gates=(replace(gate, comparison=replace(gate.comparison, delta=none)),))
    page = render_html(shown)
    assert "Interval not established" in page and "4 groups are fewer than 5." in page
    assert 'class="bar"' not in page


def test_the_way_back_to_the_data_is_complete_and_hashes_are_whole() -> None:
    content = sample()
    page = render_html(content)

    def walk(node: LineageNode) -> Iterator[LineageNode]:
        yield node
        for child in node.made_from:
            yield from walk(child)

    root = content.gates[0].trace
    assert root
    nodes = list(walk(root))
    assert {node.kind for node in nodes} >= {
        "verdict",
        "comparison",
        "evaluation",
        "predictions",
        "run",
        "recipe",
        "data",
    }
    for node in nodes:
        assert f">{node.hash}</code>" in page
    assert content.gates[0].verdict.gate_hash in page
    assert content.hashes["ledger head"] in page


def test_the_page_needs_nothing_from_outside() -> None:
    page = render_html(sample())
    for _, attributes in seen(page).tags:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,")), value[:60]
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?://", page)


def test_the_page_is_light_beside_its_pictures() -> None:
    page = re.sub(r'<figure class="shot">.*?</figure>', "", render_html(sample()), flags=re.DOTALL)
    page = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert len(page.encode()) < 120_000


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = render(sample(), tmp_path / "a.html"), render(sample(), tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_a_report_of_nothing_is_still_a_page() -> None:
    page = render_html(ReportContent("empty", "Anything?", checked=False))
    assert "No answer yet: no gate has been judged yet." in page and "Nothing was checked" in page


def test_a_check_that_found_nothing_says_that_it_ran() -> None:
    assert "The checks ran and found nothing" in render_html(ReportContent("clean", "Is it clean?"))


def page_scripts() -> list[str]:
    folder = Path(liftgate.reporting.__file__).parent / "templates"
    return [(folder / name).read_text("utf-8").rstrip("\n") for name in ("theme.js", "figures.js", "browser.js")]


ATTACK = "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ 7*7 }}{% raw %}"


def test_words_from_strangers_stay_words() -> None:
    finding = Finding("labels.x", "error", f"{ATTACK}.txt", ATTACK, ATTACK)
    base = sample()
    gate = base.gates[0]
    arms = tuple(replace(arm, name=ATTACK, description=ATTACK, settings={ATTACK: ATTACK}) for arm in gate.arms)
    pictures = tuple(
        replace(
            gallery,
            title=ATTACK,
            pictures=tuple(replace(p, name=ATTACK, group=ATTACK, note=ATTACK) for p in gallery.pictures),
        )
        for gallery in gate.galleries
    )
    content = replace(
        base,
        study=ATTACK,
        question=ATTACK,
        gates=(replace(gate, arms=arms, galleries=pictures),),
        findings=(finding,),
        charts=(Chart(ATTACK, (Series(ATTACK, ((1, 0.5), (2, 0.6))),), ATTACK, ATTACK),),
        command=ATTACK,
        notes=(ATTACK,),
    )
    page = render_html(content)
    tags = seen(page).tags
    scripts = [attributes for name, attributes in tags if name == "script" and attributes.get("type") is None]
    assert len(scripts) == sum(page.count(f"<script>{one}") for one in page_scripts()) == 3
    assert not [name for name, _ in tags if name == "img"]
    assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
    assert html.escape(ATTACK, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert "{{ 7*7 }}" in page


@settings(max_examples=20, deadline=None)
@given(text=st.text(max_size=40), low=st.floats(-1, 1), width=st.floats(0, 1), margin=st.floats(-1, 1))
def test_any_words_and_any_interval_make_a_page(text: str, low: float, width: float, margin: float) -> None:
    content = harmed()
    gate = content.gates[0]
    assert gate.comparison
    delta = Interval(low + width / 2, low, low + width, 0.95, text, 10, 6)
    changed = replace(gate, comparison=replace(gate.comparison, delta=delta, margin=margin, metric=text))
    page = render_html(replace(content, question=text, gates=(changed,)))
    assert "NaN" not in page.replace(html.escape(text), "")
    for x in re.findall(r' (?:x|x1|x2|cx)="(-?[\d.]+)%"', page):
        assert 0 <= float(x) <= 100


@pytest.mark.parametrize(
    ("metric", "claim", "margins", "zone"),
    [
        ("mAP50", "better", ["+0.0100"], "right"),
        ("false_positives_per_image", "better", ["\u22120.0100"], "left"),
        ("mAP50", "equal", ["\u22120.0100", "+0.0100"], "between"),
    ],
)
def test_a_difference_is_drawn_against_the_side_where_it_passes(
    metric: str, claim: str, margins: list[str], zone: str
) -> None:
    content = harmed()
    gate = content.gates[0]
    assert gate.comparison
    comparison = replace(gate.comparison, metric=metric, claim=claim, margin=0.01)  # type: ignore[arg-type]
    asked = replace(gate.gate, metric=metric, claim=claim, margin=0.01)  # type: ignore[arg-type]
    page = render_html(replace(content, gates=(replace(gate, gate=asked, comparison=comparison),)))
    label = next(
        a["aria-label"] or "" for _, a in seen(page).tags if "treatment minus control" in str(a.get("aria-label"))
    )
    assert re.findall(r"margin at (\S+?)(?:;|$)", label) == margins
    match = re.search(r'class="zone" x="([\d.]+)%" y="8" width="([\d.]+)%"', page)
    assert match
    start, width = float(match[1]), float(match[2])
    touches = ("left" if start == 0 else "") + ("right" if start + width > 99.9 else "")
    assert (touches or "between") == zone
    assert ("below" in page.split("Asked:")[1].split("?")[0]) == (zone == "left")


def test_a_line_breaks_where_a_value_is_missing_and_says_its_values_when_pointed_at() -> None:
    chart = Chart("loss", (Series("a", ((1, 2.0), (2, None), (3, float("nan")), (4, 1.0), (5, 0.5)), mark=5),))
    page = render_html(ReportContent("s", "q", charts=(chart,)))
    assert page.count("<polyline") == 2
    assert "<title>epoch 4: 1</title>" in page
    assert page.count('<circle class="on"') == 1


def test_a_chart_without_a_single_value_is_left_out() -> None:
    page = render_html(ReportContent("s", "q", charts=(Chart("empty", (Series("a", ((1, None),)),)),)))
    assert "<polyline" not in page


@pytest.mark.parametrize("word", ["PASS", "MARGINAL", "FAIL"])
def test_a_verdict_is_told_by_word_and_sign_not_by_colour_alone(word: str) -> None:
    content = harmed()
    gate = content.gates[0]
    page = render_html(replace(content, gates=(replace(gate, verdict=replace(gate.verdict, word=word)),)))
    assert re.search(rf'<span class="sign" aria-hidden="true">[✓≈✕]</span>{word}</span>', page)
    assert f"<title>{word}: harm</title>" in page


def test_words_at_boxes_are_left_out_where_they_would_lie_on_each_other() -> None:
    content = sample()
    gate = next(gate for gate in content.gates if gate.galleries)
    picture = gate.galleries[0].pictures[0]
    few = render_html(
        replace(content, gates=(replace(gate, galleries=(replace(gate.galleries[0], pictures=(picture,)),)),))
    )
    crowd = replace(picture, truth=picture.truth * 9)
    many = render_html(
        replace(content, gates=(replace(gate, galleries=(replace(gate.galleries[0], pictures=(crowd,)),)),))
    )
    assert 'class="tt"' in few and "boxes crowd" not in few
    assert 'class="tt"' not in many and "boxes crowd" in many


def test_a_method_stands_beside_an_interval_also_when_the_control_has_none() -> None:
    content = sample()
    gate = next(gate for gate in content.gates if gate.comparison)
    control, *others = gate.arms
    assert control.evaluation is not None
    name = str(gate.gate.metric)
    none = replace(control.evaluation.intervals[name], low=None, high=None, note="zero whichever group is left out")
    intervals = {**control.evaluation.intervals, name: none}
    arms = (replace(control, evaluation=replace(control.evaluation, intervals=intervals)), *others)
    page = render_html(replace(content, gates=(replace(gate, arms=arms),)))
    (row,) = re.findall(rf'<tr class="key"><th scope="row">{name}.*?</tr>', page, flags=re.DOTALL)
    assert none.method in row and row.count("no interval") == 1


def test_an_option_is_not_broken_at_its_hyphens_and_a_strangers_words_stay_words() -> None:
    shown = str(environment().filters["with_code"]("too narrow (--groups), `liftgate explain ID --json` <b>"))
    option = '<span class="option">{}</span>'
    assert option.format("--groups") in shown and option.format("--json") in shown
    assert "<b>" not in shown and "<code>liftgate explain ID" in shown
