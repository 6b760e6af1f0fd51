"""The style sheet of the report page.

Kept in Python so that the page needs no data file beside the package. Text colours reach a contrast
of 4.5 to 1 on both backgrounds, light and dark; a test computes it.
"""

from __future__ import annotations

LIGHT = {
    "page": "#f6f6f3",
    "card": "#ffffff",
    "ink": "#1b1e22",
    "muted": "#575e66",
    "rule": "#dbdcd8",
    "accent": "#00608a",
    "second": "#a84300",
}
DARK = {
    "page": "#121518",
    "card": "#1b1f24",
    "ink": "#e9ebed",
    "muted": "#a7afb8",
    "rule": "#363d45",
    "accent": "#74bdea",
    "second": "#f2a06c",
}

_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2rem); }
header { padding-top: clamp(1.5rem, 5vw, 3.5rem); }
h1, h2, h3 { line-height: 1.2; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.7rem, 5vw, 2.6rem); margin: 0 0 1rem; letter-spacing: -0.02em; }
h2 { font-size: 1.45rem; margin: 3.2rem 0 0.7rem; padding-top: 0.8rem;
  border-top: 2px solid var(--ink); letter-spacing: -0.01em; }
h3 { font-size: 1.1rem; margin: 1.8rem 0 0.4rem; }
p, .notes { max-width: 46rem; overflow-wrap: anywhere; }
p { margin: 0.5rem 0; }
small { font-size: 0.78rem; color: var(--muted); }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.lead { font-size: 1.1rem; margin: 0 0 1.2rem; padding: 0.2rem 0 0.2rem 1.2rem;
  border-left: 4px solid var(--accent); max-width: 50rem; list-style: none; }
.lead li { margin: 0.35rem 0; overflow-wrap: anywhere; }
.about, .muted { color: var(--muted); font-size: 0.9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; margin: 1.2rem 0 0;
  list-style: none; font-size: 0.95rem; }
nav a { display: inline-block; padding: 0.3rem 0; }
.tiles { display: grid; gap: 0.9rem;
  grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr)); }
.tile, figure.panel, .scroll, details, .faces li { background: var(--card);
  border: 1px solid var(--rule); border-radius: 0.6rem; }
.tile { padding: 0.9rem 1.1rem; min-width: 0; }
.tile h3 { margin: 0 0 0.4rem; font-size: 0.95rem; color: var(--muted); font-weight: 600; }
.tile dl { margin: 0; display: grid; grid-template-columns: 1fr auto; gap: 0.15rem 0.8rem; }
.tile dt { color: var(--muted); font-size: 0.9rem; overflow-wrap: anywhere; }
.tile dd { margin: 0; font-weight: 600; text-align: right; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.tile p { margin: 0 0 0.5rem; font-weight: 600; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0.7rem 0.9rem 0.4rem; font-size: 0.85rem;
  color: var(--muted); }
th, td { text-align: left; vertical-align: top; padding: 0.6rem 0.55rem;
  border-top: 1px solid var(--rule); }
thead th { border-top: 0; font-size: 0.82rem; vertical-align: bottom; }
th:first-child { padding-left: 0.9rem; }
.rates { min-width: 58rem; }
.rates tbody th { width: 24%; font-weight: 600; overflow-wrap: anywhere; }
.rates small, .interval { display: block; font-weight: 400; }
.rates td { width: 10.8%; }
.rates td small { font-size: 0.75rem; }
.group th { font-size: 0.82rem; color: var(--muted); padding-bottom: 0.2rem;
  border-top: 2px solid var(--rule); }
.value { font-size: 1.12rem; font-weight: 650; }
.interval { font-size: 0.8rem; white-space: nowrap; }
.withheld { font-style: italic; color: var(--second); }
.absent { color: var(--muted); font-size: 0.8rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.bar { display: block; width: 100%; max-width: 7rem; height: 6px; margin: 3px 0 2px; }
.track { fill: var(--rule); } .range { fill: var(--accent); opacity: 0.5; }
.point { fill: var(--accent); }
.plain th, .plain td { font-size: 0.85rem; padding: 0.32rem 0.9rem; font-weight: 400; }
.plain thead th { font-weight: 600; }
.numbers td, .numbers tbody th { white-space: nowrap; }
.numbers .group th { font-weight: 600; color: var(--ink); padding-top: 0.8rem; }
main.wide { max-width: 110rem; padding-top: 1.5rem; padding-bottom: 3rem; }
.stack tbody th { white-space: normal; min-width: 9rem; }
.pairs td, .pairs tbody th { overflow-wrap: anywhere; width: 50%; }
.seconds td { width: auto; } .seconds .meter { width: 45%; }
.meter div { background: var(--accent); height: 0.6rem; min-width: 2px; border-radius: 2px;
  margin-top: 0.3rem; }
.notes { padding-left: 1.2rem; color: var(--muted); font-size: 0.9rem; }
.notes li { margin: 0.3rem 0; }
details { margin: 0.8rem 0; }
details .scroll, details .tile { border: 0; margin: 0; }
summary { cursor: pointer; padding: 0.7rem 0.9rem; font-weight: 600; font-size: 0.95rem; }
.words { margin: 0; padding: 0 0.9rem 0.9rem; max-width: 48rem; font-size: 0.9rem; }
.words dt { font-weight: 600; margin-top: 0.5rem; } .words dd { margin: 0; }
.panels { display: grid; gap: 0.9rem;
  grid-template-columns: repeat(auto-fill, minmax(min(16.5rem, 100%), 1fr)); }
details .panels { padding: 0 0.9rem 0.9rem; }
figure { margin: 0; } figure.panel { padding: 0.7rem 0.8rem; min-width: 0; }
figure.single { max-width: 34rem; }
figcaption { font-size: 0.9rem; font-weight: 600; overflow-wrap: anywhere; }
svg { display: block; } svg text { fill: var(--muted); font: 11px system-ui, sans-serif; }
.chart { width: 100%; height: auto; overflow: visible; }
svg .strong { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke: var(--accent); stroke-width: 1.8; stroke-linejoin: round; }
.dot { fill: var(--accent); }
.dashed { fill: none; stroke: var(--second); stroke-width: 1.5; stroke-dasharray: 6 4; }
.band { fill: var(--accent); opacity: 0.2; }
.whisker { stroke: var(--ink); stroke-width: 1.3; fill: none; }
.box { fill: var(--accent); opacity: 0.4; } .median { stroke: var(--ink); stroke-width: 3; }
.faces { list-style: none; padding: 0; display: grid; gap: 0.7rem;
  grid-template-columns: repeat(auto-fill, minmax(min(9.6rem, 100%), 1fr)); }
.faces li { padding: 0.6rem; min-width: 0; break-inside: avoid; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.4rem; align-items: center; }
.pair img, .heat { width: 100%; height: auto; aspect-ratio: 1; border-radius: 0.25rem; }
.faces figcaption { margin-top: 0.4rem; font-size: 0.85rem; }
.faces figcaption small { display: block; font-weight: 400; font-variant-numeric: tabular-nums; }
.legend { width: 100%; max-width: 15rem; height: auto; overflow: visible; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: 0.6rem;
  padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.88rem; }
footer { margin-top: 3rem; padding-bottom: 3rem; }
@media screen and (max-width: 44.99rem) {
  .rates { min-width: 0; }
  .scroll:has(> .rates) { border: 0; background: none; overflow: visible; }
  .rates, .rates tbody, .rates tr, .rates th, .rates caption { display: block; }
  .rates thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px;
    overflow: hidden; }
  .rates caption { padding: 0.3rem 0 0; }
  .rates tr { background: var(--card); border: 1px solid var(--rule); border-radius: 0.6rem;
    margin: 0.7rem 0; padding: 0.3rem 0; }
  .rates tr.group { background: none; border: 0; margin: 1.2rem 0 0; padding: 0; }
  .rates .group th { border: 0; padding: 0; }
  .rates tbody th, .rates td { width: auto; border: 0; padding: 0.45rem 0.9rem; }
  .rates td { display: grid; grid-template-columns: 1fr auto 5.4rem; column-gap: 0.8rem;
    align-items: baseline; border-top: 1px solid var(--rule); }
  .rates td::before { content: attr(data-label); font-size: 0.9rem; }
  .rates td > * { text-align: right; }
  .bar { grid-column: 1 / 2; max-width: none; margin: 0; align-self: center; order: 1; }
  .rates td small { grid-column: 2 / 4; order: 2; }
  .absent, .rates .withheld { grid-column: 2 / 4; }
  .rates .withheld + small { grid-column: 1 / 4; text-align: left; }
  .stack, .stack tbody, .stack tr, .stack tbody th, .stack td { display: block; }
  .stack thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px;
    overflow: hidden; }
  .stack tbody th { padding-bottom: 0; }
  .stack .group th { padding-bottom: 0.4rem; }
  .stack tbody tr:not(.group) th { font-weight: 600; }
  .stack td { border: 0; padding: 0.1rem 0.9rem; white-space: normal; text-align: right;
    display: flex; justify-content: space-between; gap: 1rem; }
  .stack td:last-child { padding-bottom: 0.4rem; }
  .stack td::before { content: attr(data-label); color: var(--muted); text-align: left; }
  .stack td:empty { display: none; }
}
@media print {
  :root { font-size: 10.5px; } /* all sizes follow: the tables of a desktop fit on A4 */
  body, .tile, .panel, .scroll, details { background: none; }
  nav { display: none; }
  h2, h3, summary, caption { break-after: avoid; }
  tr, figure, .tile, pre { break-inside: avoid; }
  .scroll { overflow: visible; }
  .rates { min-width: 0; }
  pre { white-space: pre-wrap; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .meter div, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def style_sheet() -> str:
    """The whole CSS: colours for light, dark (on screens only: paper is white) and the rules."""
    return (
        f":root {{ color-scheme: light; {_variables(LIGHT)} }}\n"
        "@media screen and (prefers-color-scheme: dark) {"
        f" :root {{ color-scheme: dark; {_variables(DARK)} }} }}"
        f"{_RULES}"
    )
