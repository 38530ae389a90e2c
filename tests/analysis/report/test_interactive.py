"""What the report's script shows, as a browser says it: a script of the test's own is added to a copy of the report."""

import html
import json
import re
import shutil
import subprocess

import hand_made
import numpy as np
import pandas as pd
import pytest
from hand_made import estimate

from analysis.claims import Claim, as_table, ordered
from analysis.drawing.style import NAMES
from analysis.report import over_runs
from analysis.report.page import FigureEntry, number, write_report
from interactions.mobius import interactions, orders

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium, in which the report's script is tried")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--window-size=1000,900")
EARLY = """<script>window.errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
for (const name of ["error", "warn"]) console[name] = (...words) => errors.push(words.join(" "));</script>"""
LATE = """<script>addEventListener("load", async () => {
const found = {}, every = (what, of = document) => [...of.querySelectorAll(what)];
const said = (element) => element.innerText.split(/\\s+/).join(" ").trim();
const frame = () => new Promise((done) => setTimeout(done, 50));
try {%s} catch (error) { errors.push(String(error)); }
const told = document.createElement("pre");
told.id = "told";
told.textContent = JSON.stringify({...found, errors});
document.body.replaceChildren(told);
});</script>"""
PRESS = """const press = (svg, key) => svg.dispatchEvent(new KeyboardEvent("keydown", {key}));"""
RUN = (
    PRESS
    + """
found.pictures = every(".printed img").length;
found.shown = every(".printed").map((picture) => picture.offsetHeight > 0);
const figure = (name) => document.querySelector(`img[alt="${name}"]`).closest("figure");
const values = (name) => { every(".switch button", figure(name))[1].click(); return figure(name); };
found.tips = {};
for (const name of ["jaccard", "ratio"]) {
  const of = values(name), tips = found.tips[name] = [];
  await frame();
  const svg = of.querySelector(".plot > svg"), lying = name === "ratio";
  for (let line = 0; line < every(".plot .series", of).length; line++) {
    for (let back = 0; back < 20; back++) press(svg, lying ? "ArrowUp" : "ArrowLeft");
    for (let point = 0; point < 3; point++) {
      tips.push(said(of.querySelector(".tip")));
      press(svg, lying ? "ArrowDown" : "ArrowRight");
    }
    press(svg, lying ? "ArrowRight" : "ArrowDown");
  }
}
const jaccard = figure("jaccard"), svg = jaccard.querySelector(".plot > svg"), first = every(".point", jaccard)[1];
press(svg, "Escape");
found.hidden = jaccard.querySelector(".tip").hidden;
const box = first.getBoundingClientRect(), clientX = box.x + box.width / 2 + 3, clientY = box.y + box.height / 2;
svg.dispatchEvent(new PointerEvent("pointermove", {clientX, clientY}));
found.hovered = said(jaccard.querySelector(".tip"));
found.points = [every(".point", jaccard).length];
every(".legend button", jaccard)[0].click();
found.points.push(every(".point", jaccard).length);
found.pressed = every(".legend button", jaccard).map((button) => button.getAttribute("aria-pressed"));
every(".switch button", jaccard)[0].click();
found.back = [jaccard.querySelector(".printed").offsetHeight > 0, jaccard.querySelector(".values").offsetHeight];
const accuracy = values("accuracy");
found.selects = every(".controls label", accuracy).map((label) => label.childNodes[0].textContent.trim());

const slider = document.querySelector(".orders input"), picker = document.querySelector(".picker");
const bars = () => every(".models > div", picker).map((model) => every(".bar", model).map((bar) =>
  [Number(bar.dataset.subset), bar.getAttribute("aria-label"), bar.classList.contains("faint")]));
const choose = (select, value) => { select.value = value; select.dispatchEvent(new Event("change")); };
const [samples, filter] = every("select", picker);
found.samples = every("option", samples).map(said);
choose(samples, 7);
found.bars = {some: bars()};
found.orders = {};
for (let order = 0; order <= 3; order++) {
  slider.value = order;
  slider.dispatchEvent(new Event("input"));
  found.orders[order] = every(".orders tbody tr").map((row) => every("td", row).map(said));
  found.bars[order] = bars();
}
slider.value = 2;
slider.dispatchEvent(new Event("input"));
choose(filter, "upto");
found.bars.upto = bars();
found.note = said(every(".soft", picker).pop());
choose(filter, "all");
found.bars.all = bars();
found.boxes = every(".part", picker).length;
const pair = every(".bar", picker).find((bar) => bar.dataset.subset === "6");
pair.focus();
found.lit = every(".part.on", picker).map(said);
pair.blur();
found.dark = every(".part.on", picker).length;
found.wide = document.documentElement.scrollWidth;
"""
)
HOSTILE = (
    PRESS
    + """
every(".every button")[1].click();
await frame();
press(document.querySelector(".plot > svg"), "ArrowRight");
found.tip = document.querySelector(".tip").textContent;
found.legend = every(".legend button").map((button) => button.textContent);
found.title = document.querySelector(".named").textContent;
found.samples = every(".picker option").map((option) => option.textContent).slice(0, 2);
found.words = document.querySelector(".picker .text").textContent;
found.bar = document.querySelector(".picker .bar .name").textContent;
found.broken = every("b#broken, img[src=x]").length;
found.scripts = every("script").length;
found.hacked = window.hacked ?? "no";
"""
)

WIDTHS = (1200, 1000, 700, 400)
EACH_WIDTH = """
await frame();
found.pages = every("iframe").map((one) => {
  const inside = one.contentDocument, numbers = every(".bar .number", inside), level = inside.querySelector(".level");
  const right = (element) => element.getBoundingClientRect().right;
  const beyond = (number) => number.scrollWidth > number.clientWidth
    || right(number) > right(number.closest(".models > div"));
  return {
    wide: inside.documentElement.scrollWidth,
    numbers: numbers.map(said),
    overlapping: numbers.filter(beyond).map(said),
    scales: new Set(every(".bar .track", inside).map((track) => Math.round(track.offsetWidth))).size,
    level: one.contentWindow.getComputedStyle(level, "::after").content.includes("excess"),
    points: every(".point", inside).length,
    switches: every(".switch", inside).length,
    chart: said(inside.querySelector(".values")),
  };
});
"""


@pytest.fixture(scope="module")
def in_browser(tmp_path_factory):
    """in_browser(report, script): what the script has put into `found`, and the errors of the page."""

    def run(report, script):
        text = report.read_text(encoding="utf-8").replace("<head>", f"<head>{EARLY}", 1)
        at = text.rindex("</body>")
        copy = tmp_path_factory.mktemp("page") / "report.html"
        copy.write_text(text[:at] + LATE % script + text[at:], encoding="utf-8")
        profile = f"--user-data-dir={copy.parent / 'profile'}"
        done = subprocess.run([BROWSER, *FLAGS, profile, "--dump-dom", copy.as_uri()], capture_output=True, text=True,
                              timeout=120, check=True)  # fmt: skip
        return json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)[1]))

    return run


@pytest.fixture(scope="module")
def run(finished):
    return finished.output / "digits" / "seed=0"


@pytest.fixture(scope="module")
def found(run, in_browser):
    """What a reader of the tiny study sees."""
    return in_browser(run / "analysis" / "report.html", RUN)


def table(run, name):
    return pd.read_csv(run / "analysis" / "tables" / f"{name}.csv")


def interval(row):
    if np.isnan(row["low"]):
        return number(float(row["mean"]))
    return f"{number(float(row['mean']))} [{number(float(row['low']))}, {number(float(row['high']))}]"


def test_there_is_no_error_and_nothing_is_cut_off(found):
    assert found["errors"] == []
    assert found["wide"] <= 1000


def test_the_pictures_are_what_is_seen_first(found, run):
    assert found["pictures"] == len(list((run / "analysis" / "figures").glob("*.png")))
    assert all(found["shown"])


def test_each_point_has_the_numbers_of_the_table(found, run):
    rows = table(run, "jaccard")
    assert len(found["tips"]["jaccard"]) == len(rows)
    for said, (_, row) in zip(found["tips"]["jaccard"], rows.iterrows(), strict=True):
        assert said.startswith(f"model {NAMES[row['model']]}, epoch {row['epoch']} mean {interval(row)} placement")
        for level in ("placement", "sign"):
            assert re.search(rf"{level}: [a-z ]+ {re.escape(number(row[level]))}( |$)", said)


def test_words_along_the_axis_have_their_numbers_too(found, run):
    for said, (_, row) in zip(found["tips"]["ratio"], table(run, "ratio").iterrows(), strict=True):
        assert f"mean {interval(row)}" in said


def test_what_the_mouse_is_near_is_told_and_goes_again(found):
    assert found["hidden"]
    assert found["hovered"] == found["tips"]["jaccard"][1]


def test_lines_can_be_hidden_and_the_picture_comes_back(found):
    assert found["points"] == [6, 3]
    assert found["pressed"] == ["false", "true", "true", "true"]
    assert found["back"] == [True, 0]


def test_the_reader_chooses_what_is_neither_axis_nor_line(found):
    assert found["selects"] == ["lines", "quantity"]


def test_each_order_has_the_parts_of_the_table(found, run):
    rows = table(run, "decomposition").set_index(["order", "quantity"])
    for order, shown in found["orders"].items():
        parts = [rows.loc[int(order), part] for part in ("preserved", "discarded", "new")]
        assert shown[0] == [interval(part) for part in parts]
        for line, level in zip(shown[1:], ("placement", "sign", "task"), strict=True):
            assert line == [number(float(part[level])) for part in parts]


def strengths(run, model):
    """I of the eighth sample after the last epoch: [2**n]."""
    values = np.load(run / "interactions" / model / "epoch_002" / "values.npy")
    return interactions(values)[7]


@pytest.mark.parametrize(("chosen", "allowed"), [
    ("some", {1, 2, 3}), ("all", {0, 1, 2, 3}), ("upto", {1, 2}), *((str(order), {order}) for order in range(4)),
])  # fmt: skip
def test_the_strongest_interactions_of_the_chosen_orders_are_shown(found, run, chosen, allowed):
    order = orders(3)
    for shown, model in zip(found["bars"][chosen], ("probe", "finetune", "scratch"), strict=True):
        strength = strengths(run, model)
        subsets = np.flatnonzero([each in allowed for each in order])
        assert [subset for subset, *_ in shown] == subsets[np.argsort(-abs(strength[subsets]))][:10].tolist()
        for subset, label, faint in shown:
            names = ",".join(str(bit + 1) for bit in range(3) if subset >> bit & 1)
            side = "for" if strength[subset] > 0 else "against"
            assert label.startswith(f"{{{names}}}: " if subset else "∅: ")
            assert label.endswith(f", {side} the true class")
            value = float(label.split(": ")[1].split(",")[0].replace("−", "-"))
            assert value == pytest.approx(strength[subset], rel=6e-3)
            assert faint == (abs(strength[subset]) <= 0.05 * abs(strength).max())
    assert "of orders 1 to 2, after each model's last epoch" in found["note"]


def test_all_samples_can_be_chosen_and_variables_light_up(found, run):
    samples = json.loads((run / "interactions" / "samples" / "samples.json").read_text())["samples"]
    assert found["samples"] == [f"test sample {each['index']}, class {each['class']}" for each in samples]
    assert found["boxes"] == 3
    assert (found["lit"], found["dark"]) == (["2", "3"], 0)


EVIL = '</script><b id="broken">"\'<img src=x onerror="hacked=1">'


def test_no_name_can_break_out_of_its_place(tmp_path, in_browser):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    rows = hand_made.jaccard().replace({"model": {"scratch": EVIL}}).rename(columns={"sign": EVIL})
    rows = rows[["model", "epoch", "mean", "low", "high", EVIL]]
    rows.to_csv(tmp_path / "a.csv", index=False)
    sample = {"title": EVIL, "shown": {"words": [EVIL, "<!--"], "variables": [0], "names": [EVIL]},
              "values": {"pretrain": 1}, "interactions": {"pretrain": [[1, 2.0]]}}  # fmt: skip
    shown = {"n": 1, "unit": EVIL, "tau": 0.05, "of": 9, "strongest": 10, "samples": [sample, sample],
             "models": [{"name": "pretrain", "words": EVIL}]}  # fmt: skip
    (tmp_path / "samples.json").write_text(json.dumps(shown))
    entry = FigureEntry(EVIL, "How?", "", tmp_path / "a.png", tmp_path / "a.csv", "", EVIL, {"finetune": EVIL})
    write_report(tmp_path / "report.html", "t", {}, pd.DataFrame(), [entry], [], "", samples=tmp_path / "samples.json")
    found = in_browser(tmp_path / "report.html", HOSTILE)
    assert (found["errors"], found["broken"], found["hacked"]) == ([], 0, "no")
    assert found["scripts"] == 6, "two of the report, two of data, two of this test"
    assert EVIL in found["tip"]
    assert found["legend"][:3] == [EVIL, EVIL, EVIL.replace("_", " ")]
    assert (found["title"], found["samples"]) == (EVIL, [EVIL, EVIL])
    assert found["words"].startswith(f"{EVIL}1 <!--")
    assert found["bar"] == f"{{{EVIL}}}"


@pytest.fixture(scope="module")
def of_widths(tmp_path_factory, in_browser):
    """What pages of WIDTHS show: how wide they are, numbers of the picker, those that are cut off, charts."""
    folder = tmp_path_factory.mktemp("widths")
    claim = Claim("More is kept.", "more", "share", estimate(0.2, 0.1, 0.3, sign=(0.2, -8.92e-05, 7.24e-05)), 0.1)
    claims = ordered(as_table("mine", [claim])[0])
    hand_made.jaccard().to_csv(folder / "a.csv", index=False)
    names = ["the famous joke", "waiter"]
    found = {model: [[1, -0.0000143], [2, 0.000919], [3, 12345.678]] for model in NAMES}
    found["scratch"] = [[3, 0.5]]
    sample = {"title": "one", "shown": {"words": names, "variables": [0, 1], "names": names},
              "values": dict.fromkeys(NAMES, 0.3275), "interactions": found}  # fmt: skip
    shown = {"n": 2, "unit": "log-odds", "tau": 0.05, "of": 1, "strongest": 10, "samples": [sample],
             "models": [{"name": name, "words": words} for name, words in NAMES.items()]}  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(shown))
    entry = FigureEntry("own", "How?", "A caption.", None, folder / "a.csv")
    write_report(folder / "report.html", "t", {}, claims, [entry], [], "", samples=folder / "samples.json")
    page = html.escape((folder / "report.html").read_text(encoding="utf-8"))
    frames = [f'<iframe style="width: {width}px; border: 0" srcdoc="{page}"></iframe>' for width in WIDTHS]
    (folder / "all.html").write_text(f"<head></head><body>{''.join(frames)}</body>", encoding="utf-8")
    return in_browser(folder / "all.html", EACH_WIDTH)


def test_pages_of_any_width_cut_off_nothing(of_widths):
    assert of_widths["errors"] == []
    for width, page in zip(WIDTHS, of_widths["pages"], strict=True):
        assert page["wide"] <= width
        assert page["numbers"] == ["+12300", "+0.000919", "−1.43e−05"] * 2 + ["+0.500"]
        assert page["overlapping"] == []
        assert page["scales"] == 1, "bars of all models can be compared"
        assert page["level"] == (width < 640), "the excess can be read where there is no mouse"


def test_what_has_no_picture_is_a_chart_from_the_start(of_widths):
    for page in of_widths["pages"]:
        assert page["points"] == len(hand_made.jaccard())
        assert not page["switches"]
        assert "as printed" not in page["chart"]


def test_a_report_without_anything_to_draw_has_no_script(tmp_path):
    write_report(tmp_path / "report.html", "t", {}, pd.DataFrame(), [], [], "")
    assert "<script" not in (tmp_path / "report.html").read_text()


def test_the_summary_over_runs_has_charts_with_its_settings(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    tables = [hand_made.jaccard(level).assign(**{"finetune.lr": level}) for level in (0.1, 0.4)]
    rows = pd.concat(tables)[["finetune.lr", *tables[0].columns[:-1]]]
    over_runs.write_table(tmp_path / "a.csv", rows)
    entry = over_runs.OverRuns("jaccard", "How?", "", "", tmp_path / "a.png", tmp_path / "a.csv", title="Likeness")
    over_runs.write_report(tmp_path / "report.html", "t", {}, pd.DataFrame(), [entry], tmp_path / "a.csv", [], [])
    (drawn,) = re.findall(r'class="values" hidden><script type="application/json">(.*?)</script>',
                          (tmp_path / "report.html").read_text())  # fmt: skip
    drawn = json.loads(drawn)
    assert [key["name"] for key in drawn["keys"]] == ["finetune.lr", "model", "epoch"]
    assert (drawn["axis"], drawn["line"], drawn["title"], len(drawn["rows"])) == (2, 0, "Likeness", len(rows))
