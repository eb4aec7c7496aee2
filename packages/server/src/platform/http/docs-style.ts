/** The style sheet of the reference page; the page's policy allows this text by its hash, and nothing else. */
export const docsStyle = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#ffffff, #12151a);
  --raised: light-dark(#f6f7f9, #1a1e25);
  --sunken: light-dark(#f0f2f5, #0d1014);
  --line: light-dark(#dfe3e8, #2b313b);
  --ink: light-dark(#1b2430, #dfe5ec);
  --soft: light-dark(#596577, #98a4b3);
  --accent: light-dark(#0b5cad, #77b7f7);
  --get: light-dark(#0b6bcb, #6cb2ff);
  --post: light-dark(#14794a, #5fd09a);
  --change: light-dark(#97600a, #eeb55c);
  --delete: light-dark(#b3261e, #ff8f87);
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  display: grid; grid-template-columns: 18rem minmax(0, 1fr);
}
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem 1rem; z-index: 1; }
code, pre { font-family: var(--mono); font-size: .84em; }
:not(pre) > code { background: var(--sunken); padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 3rem 1.5rem;
  background: var(--raised); border-right: 1px solid var(--line); font-size: .875rem;
}
nav .name { font-weight: 650; font-size: 1.05rem; color: var(--ink); display: block; margin-bottom: 1.25rem; }
nav h2 { font-size: .72rem; letter-spacing: .07em; text-transform: uppercase; color: var(--soft); margin: 1.4rem 0 .35rem; border: 0; padding: 0; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: flex; gap: .55rem; align-items: baseline; padding: .22rem .4rem; border-radius: 5px; color: var(--ink); }
nav li a:hover { background: var(--sunken); text-decoration: none; }
nav li .path { font-family: var(--mono); font-size: .78rem; overflow-wrap: anywhere; }
nav .method { width: 3.1rem; font-size: .62rem; padding: 0; background: none; text-align: right; flex: none; }
main { padding: 2.5rem clamp(1rem, 4vw, 3.5rem) 6rem; max-width: 92rem; }
header h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.015em; }
header .version { color: var(--soft); margin: 0 0 1.2rem; }
header p { max-width: 46rem; }
h2 { font-size: 1.5rem; margin: 3.5rem 0 .5rem; padding-top: 1.2rem; border-top: 1px solid var(--line); letter-spacing: -.01em; }
h2 + p { color: var(--soft); margin-top: 0; max-width: 46rem; }
h3 { font-size: 1.1rem; margin: 0; }
h4 { font-size: .78rem; letter-spacing: .05em; text-transform: uppercase; color: var(--soft); margin: 1.5rem 0 .45rem; }
.operation { border: 1px solid var(--line); border-radius: 10px; margin: 1.5rem 0; overflow: clip; }
.operation > .head { padding: 1rem 1.25rem; background: var(--raised); border-bottom: 1px solid var(--line); }
.head .line { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; font-weight: 400; }
.head .line .path { font-family: var(--mono); font-size: .98rem; overflow-wrap: anywhere; color: var(--ink); }
.head .summary { margin: .5rem 0 0; }
.columns { display: grid; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
.columns > div { padding: .25rem 1.25rem 1.25rem; min-width: 0; }
.columns > .samples { background: var(--raised); border-left: 1px solid var(--line); }
.method { font: 700 .72rem/1 var(--mono); letter-spacing: .03em; padding: .34rem .5rem; border-radius: 5px; background: color-mix(in srgb, currentColor 13%, transparent); }
.get { color: var(--get); } .post { color: var(--post); } .put, .patch { color: var(--change); } .delete { color: var(--delete); }
.facts { display: flex; flex-wrap: wrap; gap: .4rem; margin: .7rem 0 0; padding: 0; list-style: none; font-size: .8rem; color: var(--soft); }
.facts li { border: 1px solid var(--line); border-radius: 99px; padding: .1rem .65rem; background: var(--ground); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .75rem; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
td { padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td:first-child { white-space: nowrap; }
td .type { color: var(--soft); font-family: var(--mono); font-size: .78rem; }
.required { color: var(--delete); font-size: .72rem; }
pre { margin: 0; padding: .85rem 1rem; background: var(--sunken); border: 1px solid var(--line); border-radius: 7px; overflow: auto; max-height: 30rem; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5; tab-size: 2; }
.status { font: 600 .82rem var(--mono); }
.ok { color: var(--post); } .bad { color: var(--delete); }
details { border-top: 1px solid var(--line); padding: .5rem 0; }
details:last-of-type { border-bottom: 1px solid var(--line); }
.plain { border-top: 1px solid var(--line); padding: .5rem 0 .5rem 1.05rem; margin: 0; }
.also { font-size: .82rem; color: var(--soft); margin: .8rem 0 0; }
summary { cursor: pointer; }
details[open] > summary { margin-bottom: .5rem; }
dl.codes { margin: .2rem 0 .4rem; font-size: .875rem; }
dl.codes dt { margin-top: .3rem; } dl.codes dd { margin: 0 0 .2rem; color: var(--soft); }
@media (max-width: 75rem) { .columns { grid-template-columns: minmax(0, 1fr); } .columns > .samples { border-left: 0; border-top: 1px solid var(--line); } }
@media (max-width: 52rem) {
  body { display: block; }
  nav { position: static; height: auto; max-height: 45vh; border-right: 0; border-bottom: 1px solid var(--line); }
}
@media print { nav { display: none; } body { display: block; } pre { max-height: none; } }
`;
