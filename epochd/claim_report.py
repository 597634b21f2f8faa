"""The claims as a page to show: one HTML file that needs nothing beside it."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from string import Template
from typing import Final

from epochd.claim_figures import Picture, strip
from epochd.claim_words import VERDICTS, claimed, effect, interval, number, share
from epochd.transport import Json
from mlcore.words import counted

SECTIONS: Final = {
    "4.1": "Multilayer perceptrons",
    "4.2": "Multilayer perceptron from scratch",
    "4.3": "Multilayer perceptron, concise",
    "4.4": "Model selection, underfitting and overfitting",
    "4.5": "Weight decay",
    "4.6": "Dropout",
}
COUNTED: Final = {True: "hold", False: "do not hold", None: "stay undecided"}
SIGNS: Final = {True: "✓", False: "✗", None: "?"}
CLASSES: Final = {True: "holds", False: "fails", None: "open"}

PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The multilayer-perceptron chapter, checked</title>
<style>
:root { --holds: #00704f; --fails: #b34700; --open: #5b5b5b; --line: #dcdcdc; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 5rem; color: #1b1b1b; background: #fff;
  font: 1.0625rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.4rem; margin: 3.5rem 0 1rem; border-bottom: 2px solid #1b1b1b; padding-bottom: .3rem; }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: inherit; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td:nth-child(2) { min-width: 11rem; }
.scroll { overflow-x: auto; }
.verdict { white-space: nowrap; font-weight: 600; }
.verdict.holds { color: var(--holds); }
.verdict.fails { color: var(--fails); }
.verdict.open { color: var(--open); }
article { margin: 1.25rem 0 2rem; padding: .2rem 0 .2rem 1.1rem; border-left: 5px solid var(--open); }
article.holds { border-color: var(--holds); }
article.fails { border-color: var(--fails); }
article header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; justify-content: space-between;
  }
article img { display: block; width: 100%; max-width: 46rem; height: auto; margin: .4rem 0; }
.why { background: #fdf3ea; padding: .6rem .9rem; }
.small { font-size: .9rem; color: #444; }
figure { margin: 1.5rem 0; }
figure img { display: block; width: 100%; max-width: 52rem; height: auto; }
figure.wide { grid-column: 1 / -1; }
figcaption { font-size: .9rem; color: #444; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 2rem; }
details { margin: .3rem 0; }
pre { overflow-x: auto; font-size: .8rem; background: #f5f5f5; padding: .6rem; }
@media print { body { max-width: none; font-size: 10pt; } article, figure { break-inside: avoid; } }
</style>
</head>
<body>
<h1>The multilayer-perceptron chapter, checked</h1>
$lead
<h2>At a glance</h2>
<div class="scroll"><table>
<thead><tr><th>§</th><th>claim</th><th>verdict</th><th class="number">holds in</th>
<th class="number">mean (95 % interval)</th></tr></thead>
<tbody>
$rows
</tbody></table></div>
$sections
<h2>How it was judged</h2>
$rules
<h2>What was trained</h2>
<p>Each request can be posted as it is to <code>/v1/experiments</code>.</p>
$experiments
</body>
</html>
""")

RULES: Final = """\
<p>A replicate is one training, or a pair of trainings that share seed and data seed; the folds of a cross-validation
are averaged within it. Each gives one number, a dot in the picture below its claim; the shaded part is what is claimed.
The diamond is the mean with its 95 % confidence interval by Student's t: of ratios and other numbers that span decades,
on a logarithmic axis, it is the geometric one.</p>
<p>A claim <b>holds</b> when at least three quarters of the replicates bear it out and the whole interval of the mean
lies in the shaded part. It <b>does not hold</b> when fewer than three quarters do. Otherwise, and with fewer than five
replicates, it is <b>undecided</b>. A training that diverges counts against the claim.</p>
<p>Sentences in quotation marks are the service's own, from its paired comparison of the two configurations.</p>"""


def page(found: Json, pictures: Sequence[Picture]) -> str:
    """Return the report on judged claims, the document that claims.json holds, as HTML."""
    claims = found["claims"]
    by_section = groupby(claims, key=lambda one: one["section"])
    return PAGE.substitute(
        lead=_lead(found),
        rows="\n".join(map(_row, claims)),
        sections="\n".join(_section(section, list(group), pictures) for section, group in by_section),
        rules=RULES,
        experiments="\n".join(map(_experiment, found["experiments"])),
    )


def _lead(found: Json) -> str:
    verdicts = [one["holds"] for one in found["claims"]]
    counts = ", ".join(f"{verdicts.count(one)} {said}" for one, said in COUNTED.items() if one in verdicts)
    runs = sum(one["runs"]["total"] for one in found["experiments"])
    return (
        "<p>What the chapter <i>Multilayer Perceptrons</i> of <i>Dive into Deep Learning</i> says, in our own words, "
        f"put to the test: {len(verdicts)} claims, of which {escape(counts)}. The {runs:,} trainings behind them ran "
        f"through epochd's HTTP API.</p>"
    )


def _row(claim: Json) -> str:
    cells = (
        f"<td>{escape(claim['section'])}</td>",
        f'<td><a href="#{escape(claim["name"])}">{escape(claim["title"])}</a></td>',
        f"<td>{_verdict(claim)}</td>",
        f'<td class="number">{escape(share(claim))}</td>',
        f'<td class="number">{escape(effect(claim))}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _verdict(claim: Json) -> str:
    holds = claim["holds"]
    return f'<span class="verdict {CLASSES[holds]}">{SIGNS[holds]} {VERDICTS[holds]}</span>'


def _section(section: str, claims: Sequence[Json], pictures: Sequence[Picture]) -> str:
    heading = f"<h2>{escape(section)} {escape(SECTIONS[section])}</h2>"
    shown = "\n".join(_figure(one) for one in pictures if one.section == section)
    figures = f'<div class="figures">{shown}</div>' if shown else ""
    return "\n".join([heading, *map(_article, claims), figures])


def _figure(shown: Picture) -> str:
    caption = escape(shown.caption)
    size = ' class="wide"' if shown.is_wide else ""
    return f'<figure{size}><img src="{_uri(shown.svg)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"


def _article(claim: Json) -> str:
    image = f'<img src="{_uri(strip(claim))}" alt="{escape(_described(claim))}">' if claim["values"] else ""
    return "\n".join(
        [
            f'<article id="{escape(claim["name"])}" class="{CLASSES[claim["holds"]]}">',
            f"<header><h3>{escape(claim['title'])}</h3>{_verdict(claim)}</header>",
            f"<p>{escape(claim['sentence'])}</p>",
            image,
            *_said(claim),
            "</article>",
        ]
    )


def _described(claim: Json) -> str:
    return f"{claim['measure']}: {len(claim['values'])} replicates, mean {effect(claim)}, claimed {claimed(claim)}"


def _said(claim: Json) -> Iterator[str]:
    """Yield the paragraphs below the picture."""
    yield f"<p><b>Measured:</b> {_measured(claim)} Claimed is {escape(claimed(claim))}. {escape(claim['reason'])}</p>"
    if claim["control"] is not None:
        yield f"<p><b>To compare:</b> {_measured(claim['control'])}</p>"
    if claim["why"]:
        when = "Where not" if claim["holds"] else "Why"
        yield f'<p class="why"><b>{when}:</b> {escape(claim["why"])}</p>'
    if claim["comparison"] is not None:
        yield f'<p class="small">“{escape(claim["comparison"]["verdict"])}”</p>'


def _measured(said: Json) -> str:
    found, lost = said["effect"], []
    if said["diverged"]:
        lost.append(f"{said['diverged']} diverged")
    if said["left_out"]:
        lost.append(f"{said['left_out']} left out, which failed or did not end")
    left = f" ({', '.join(lost)})" if lost else ""
    if found is None:
        return f"nothing{escape(left)}."
    kind = "geometric mean" if said["geometric"] else "mean"
    mean, low, high = interval(found)
    words = f"{said['measure']}, {kind} {mean}, 95 % interval {low} to {high}, median {number(found['median'])}"
    return escape(f"{words}{left}.")


def _experiment(one: Json) -> str:
    runs = one["runs"]
    lost = f", {runs['failed']} failed" if runs["failed"] else ""
    errors = "".join(f"<p>{escape(error)}</p>" for error in one["errors"])
    request = escape(json.dumps(one["request"], indent=1, ensure_ascii=False))
    summary = f"<summary>{escape(one['name'])}: {counted(runs['total'], 'run')}{lost}</summary>"
    return f"<details>{summary}{errors}<pre>{request}</pre></details>"
