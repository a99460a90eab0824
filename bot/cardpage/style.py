"""How the page looks: on a phone, on a wide screen, in the dark and on paper (A4).

Rule 1: every colour has a light and a dark form, and text stands out from what is behind it by 4.5 to 1 at least.
Rule 2: letters come from the reader's own machine; nothing is fetched.
"""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --panel: #f4f6f9; --edge: #b9c2cd; --grid: #e3e8ee;
  --text: #1b2430; --muted: #566373; --blue: #1f66c9; --green: #12724f; --red: #b9302b; --flat: #7a8797; }
@media screen and (prefers-color-scheme: dark) { :root { --back: #0e1219; --panel: #151b25; --edge: #3c4a5e;
  --grid: #222b39; --text: #e8eef6; --muted: #9aa7ba; --blue: #58a6ff; --green: #2bc299; --red: #f47070;
  --flat: #8592a5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 980px; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 24px; line-height: 1.2; margin: 10px 0 8px; }
h2 { font-size: 17px; margin: 26px 0 8px; }
h3 { font-size: 15px; margin: 0 0 8px; }
p { margin: 0 0 8px; }
.muted, caption, figcaption, dt { color: var(--muted); }
.badge { display: inline-block; padding: 2px 10px; border: 1.5px solid; border-radius: 99px; font-size: 13px;
  font-weight: 600; letter-spacing: 0.03em; margin-right: 8px; }
.yes { color: var(--green); } .no { color: var(--red); }
.verdict { font-size: 16px; }
dl { display: grid; grid-template-columns: 84px 1fr; gap: 4px 14px; margin: 0; }
dd { margin: 0; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 32px 1fr; gap: 0 8px; padding: 6px 0; border-top: 1px solid var(--grid); }
li p { margin: 0; font-size: 14px; }
.mark { font-weight: 700; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 24px; }
figure { margin: 0 0 14px; padding: 12px; background: var(--panel); border-radius: 10px; }
figcaption { font-size: 13px; margin-top: 8px; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } svg text.muted { fill: var(--muted); }
.grid { stroke: var(--grid); } .edge { stroke: var(--edge); }
.truth { stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 5 4; }
.whisker { stroke: var(--blue); stroke-width: 2; }
rect.blue, circle.blue { fill: var(--blue); } rect.green, circle.green { fill: var(--green); }
rect.red, circle.red { fill: var(--red); } rect.flat { fill: var(--flat); } rect.soft { opacity: 0.5; }
.wide { overflow-x: auto; overflow-wrap: normal; margin-bottom: 16px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 4px; }
th, td { padding: 3px 8px 3px 0; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { font-weight: 600; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; max-width: 180px; overflow: hidden; text-overflow: ellipsis; }
@media (min-width: 720px), print {
  .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); } ul { columns: 2; gap: 24px; }
  li { break-inside: avoid; } }
@page { size: A4; margin: 10mm; }
@media print { body { padding: 0; max-width: none; font-size: 10.5px; line-height: 1.35; }
  h1 { font-size: 18px; margin: 3px 0; } h2 { font-size: 13px; margin: 10px 0 3px; } h3 { font-size: 12px; }
  .badge { font-size: 10px; } .verdict { font-size: 11px; } li { padding: 2px 0; } li p { font-size: 9.5px; }
  tr, figure { break-inside: avoid; } dl { grid-template-columns: 58px 1fr; gap: 1px 8px; } h2 { break-after: avoid; }
  svg { width: 86%; margin: 0 auto; } .wide { margin-bottom: 6px; } table { font-size: 9px; line-height: 1.25; }
  th, td { padding: 1px 6px 1px 0; } figcaption { font-size: 9px; }
  figure { padding: 5px 8px; margin-bottom: 6px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
