"""The style sheet of every page that people look at: light and dark, wide and narrow, on paper too.

Pages that stand alone (replay, reports) carry it, and its hash stands in their own policy; the console links it.
"""

from __future__ import annotations

import base64
import hashlib

CSS = """
:root{color-scheme:light dark;--bg:#faf8f3;--card:#fff;--ink:#211d14;--soft:#5f5848;--line:#e5dfd0;--honey:#a15c00;
--act:#b42318;--ask:#a35200;--stopped:#6b3fc0;--suppressed:#0a6b80;--alone:#6f6a5d;--good:#1b7a46;--wash:#f5f0e4}
@media screen and (prefers-color-scheme:dark){
:root{--bg:#15130e;--card:#1f1c15;--ink:#f3eee1;--soft:#b9b19d;--line:#3a3528;
--honey:#f0b45a;--act:#ff8d7e;--ask:#f7b955;--stopped:#c2a8ff;--suppressed:#6fd4e6;--alone:#8f8978;--good:#6fd39b;
--wash:#29251b}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:1.9rem;line-height:1.2;margin:.2em 0 .3em;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:2.4em 0 .3em;letter-spacing:-.005em}
h3{font-size:1rem;margin:0}
p{margin:.35em 0}
a{color:var(--honey)}
.eyebrow{color:var(--honey);font-weight:650;font-size:.82rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.eyebrow svg{width:1.1em;height:1.1em;vertical-align:-.18em;margin-right:.45em}
.note{color:var(--soft);max-width:100ch}
.answer{font-size:1.12rem;max-width:92ch;border-left:4px solid var(--honey);padding:.1em 0 .1em 1.1em;margin:1.2em 0}
.answer p{overflow-wrap:anywhere}
.answer p:first-child{font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;margin:1.6em 0 0;padding:0;
list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px;
border-top:3px solid var(--edge,var(--line))}
.tiles b{display:block;font-size:1.95rem;line-height:1.15;font-variant-numeric:tabular-nums;color:var(--edge,inherit)}
.tiles span{color:var(--soft);font-size:.86rem;display:block;line-height:1.35}
.act{--edge:var(--act)}.ask{--edge:var(--ask)}.stopped{--edge:var(--stopped)}.suppressed{--edge:var(--suppressed)}
.alone,.observe,.ignore{--edge:var(--alone)}.safe{--edge:var(--good)}.plain{--edge:var(--ink)}
.chip{display:inline-block;border:1px solid var(--edge,var(--line));color:var(--edge,inherit);border-radius:999px;
padding:0 .6em;font-size:.8rem;font-weight:620;white-space:nowrap;line-height:1.55}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px;margin:12px 0}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px;margin:12px 0}
.scroll:focus-visible,summary:focus-visible{outline:3px solid var(--honey);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;padding:12px 16px 4px;color:var(--soft);font-size:.86rem}
th,td{text-align:left;vertical-align:top;padding:8px 12px;border-top:1px solid var(--line)}
thead th{border-top:0;font-size:.78rem;font-weight:640;color:var(--soft);white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.t{white-space:nowrap}td.t code{overflow-wrap:normal}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em;overflow-wrap:anywhere}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:.4em 0 0;padding:0;list-style:none;font-size:.86rem;
color:var(--soft)}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;background:var(--edge);margin-right:.45em}
svg.plot{display:block;width:100%;height:170px}
svg .act{fill:var(--act)}svg .ask{fill:var(--ask)}svg .stopped{fill:var(--stopped)}
svg .suppressed{fill:var(--suppressed)}svg .alone,svg .observe,svg .ignore{fill:var(--alone)}
svg .malicious{fill:var(--act)}svg .suspicious{fill:var(--ask)}svg .safe{fill:var(--good)}svg .none{fill:var(--good)}
svg .grid{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
svg .zero{stroke:var(--soft);stroke-width:1;vector-effect:non-scaling-stroke}
.axis{display:flex;justify-content:space-between;color:var(--soft);font-size:.78rem;
font-variant-numeric:tabular-nums;margin:4px 0 10px}
.bars{display:grid;grid-template-columns:minmax(120px,max-content) 1fr max-content;gap:8px 14px;align-items:center;
margin:.4em 0}
.bars svg{display:block;width:100%;height:14px;background:var(--wash);border-radius:3px}
.bars .v{font-variant-numeric:tabular-nums;color:var(--soft);font-size:.86rem;text-align:right}
.bars .k{overflow-wrap:anywhere;font-size:.92rem}
.bars .k small{color:var(--soft)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,470px),1fr));gap:14px}
.pair .card{margin:0}.pair .note{font-size:.88rem}
.head{display:flex;flex-wrap:wrap;gap:6px 10px;align-items:baseline;justify-content:space-between}
.head .mono{font-weight:640;font-size:.95rem;flex:1 1 0;min-width:0}
details{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--edge,var(--line));
border-radius:12px;margin:10px 0}
summary{cursor:pointer;padding:12px 16px;display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;list-style:none}
summary::-webkit-details-marker{display:none}
summary::before{content:"\\25B8";color:var(--soft)}
details[open]>summary::before{content:"\\25BE"}
summary .title{font-weight:620;flex:1 1 260px;min-width:0;overflow-wrap:anywhere}
summary .meta{color:var(--soft);font-size:.86rem}
details>.scroll{border:0;margin:0;border-top:1px solid var(--line);border-radius:0 0 12px 12px}
.story{padding:0 18px 14px 36px}
.story ol,.story ul{margin:.3em 0 .8em;padding-left:1.2em}
.story li{margin:.15em 0;overflow-wrap:anywhere}
.story .time{color:var(--soft);font-variant-numeric:tabular-nums;font-size:.86rem;margin-right:.5em}
.story h4{margin:.9em 0 .1em;font-size:.8rem;color:var(--soft);font-weight:640}
td.w{overflow-wrap:anywhere;min-width:12rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:12px 0;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
footer{padding-bottom:48px;color:var(--soft)}
footer dd{color:var(--ink)}
@media(max-width:640px){main,header,footer{padding-left:14px;padding-right:14px}h1{font-size:1.5rem}
.answer{font-size:1rem;padding-left:.8em}.tiles{grid-template-columns:1fr 1fr;gap:8px}.tiles b{font-size:1.55rem}
.bars{grid-template-columns:1fr max-content;grid-auto-flow:dense;gap:2px 10px;margin-bottom:.8em}
.bars svg{grid-column:1/-1;grid-row:auto}
.bars .v{grid-row:auto}.story{padding:0 14px 12px 18px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}
svg.plot{height:120px}td:last-child:not(.n){min-width:17rem}}
@page{size:A4;margin:14mm}
@media print{details,.card,.tiles li,tr{break-inside:avoid}h2{break-after:avoid}body{background:#fff}
.scroll{overflow:visible}html,body{font-size:11px}h2{margin-top:1.8em}th,td{padding:4px 9px}
.tiles{grid-template-columns:repeat(auto-fit,minmax(80px,1fr));gap:8px}.tiles li{padding:9px 11px}
main,header,footer{padding:0}header{padding-top:0}}
"""

HASH = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; form-action 'none'"
"""Nothing may be loaded or run, and only this one style sheet applies."""
