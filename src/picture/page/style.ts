import { dark, light } from "../kinds.js";
import { variables } from "../svg-style.js";

/** The page's whole look. What is textured on the map is so in the legend. */
export const pageStyle = `
:root{color-scheme:light dark;${variables(light)}}
@media(prefers-color-scheme:dark){:root{${variables(dark)}}}
@media print{:root{color-scheme:light;${variables(light)}}}
:root[data-print]{color-scheme:light;${variables(light)}}
*{box-sizing:border-box}
html{font-size:clamp(16px,.55vw,24px);-webkit-text-size-adjust:100%}
body{margin:0;padding:1.25rem clamp(.75rem,2.5vw,4rem) 2rem;background:var(--paper);color:var(--ink);font:1rem/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.5rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
header p{margin:.2rem 0 1rem;color:var(--faint)}
footer{margin-top:2rem;color:var(--faint);font-size:.875rem}
[hidden]{display:none!important}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:.5rem 1.75rem;list-style:none;margin:0 0 1rem;padding:0}
.legend li{display:flex;gap:.6rem;align-items:center}
.legend .words{display:grid;grid-template-columns:max-content 1fr;gap:0 .5rem;line-height:1.25;font-size:.9375rem}
.legend span span{color:var(--ink)}
.legend small{grid-column:1/-1;color:var(--faint);font-size:.8125rem}
.swatch{flex:none;width:1.9rem;height:1.9rem;border:1px solid var(--faint);border-radius:3px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.data{background:var(--data)}.absent{background:var(--absent)}
.compressed{background:repeating-linear-gradient(135deg,var(--compressed) 0 3px,var(--paper) 3px 4.3px)}
.zero{background:radial-gradient(var(--paper) 1px,transparent 1.2px) 0 0/5px 5px var(--zero)}
.damaged{background:repeating-linear-gradient(45deg,var(--paper) 0 1.2px,transparent 1.2px 5px),repeating-linear-gradient(135deg,var(--paper) 0 1.2px,transparent 1.2px 5px),var(--damaged)}
.map{display:grid;grid-template-columns:minmax(0,1fr);gap:.35rem}
.row,.plot{display:grid;grid-template-columns:minmax(0,1fr);gap:.15rem}
.label{color:var(--faint);font-size:.875rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.label b{color:var(--ink);font-weight:600}
@media(min-width:800px){
.row,.plot{grid-template-columns:13rem minmax(0,1fr);gap:.75rem;align-items:center}
.plot{align-items:start}
#overview,#axis{margin-left:13.75rem;width:calc(100% - 13.75rem)}
}
.tools{display:flex;flex-wrap:wrap;gap:.35rem;align-items:center;margin:0}
.tools output{margin-left:.4rem;color:var(--faint);font-size:.9375rem;overflow-wrap:anywhere}
button,select{font:inherit;color:var(--ink);background:var(--panel);border:1px solid var(--faint);border-radius:4px;min-height:2.2rem;min-width:2.4rem;padding:.1rem .6rem;max-width:100%}
button:hover:not(:disabled){border-color:var(--ink)}
button:disabled{color:var(--faint);border-color:var(--line)}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
canvas{display:block;width:100%;border-radius:2px}
#overview{height:1rem;cursor:pointer}
#view{display:grid;gap:.35rem;cursor:crosshair;touch-action:pan-y;user-select:none;-webkit-user-select:none}
#view.many{gap:.2rem}
#view canvas{height:2.6rem}
#view.many canvas{height:1.3rem}
.strip{position:relative;height:2rem;overflow:hidden}
.strip button{position:absolute;top:1px;height:calc(100% - 2px);min-height:0;min-width:3px;padding:0 .35rem;font-size:.8125rem;text-align:left;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.strip button:focus-visible{outline-offset:-3px}
.strip button.thin{padding:0;text-overflow:clip;text-align:center}
#axis{position:relative;height:1.4rem;font-size:.8125rem;color:var(--faint);overflow:hidden}
#axis span{position:absolute;white-space:nowrap;transform:translateX(-50%)}
#axis span.first{transform:none}#axis span.last{transform:translateX(-100%)}
.plot{margin-top:.35rem}
.plot .label{display:flex;flex-wrap:wrap;gap:.3rem;align-items:center;white-space:normal}
.plot select{min-width:0;width:100%}
.chart{position:relative;border:1px solid var(--line);border-radius:2px}
.chart canvas{height:12rem}
.chart span{position:absolute;right:0;padding:0 .3rem;font-size:.8125rem;color:var(--faint);background:var(--paper);pointer-events:none}
#top{top:0}#bottom{bottom:0}
#detail{min-height:6.2rem;margin:.35rem 0 0;padding:.6rem .8rem;background:var(--panel);border:1px solid var(--line);border-radius:4px;overflow-wrap:anywhere}
#detail p{margin:0}
#detail dl,.facts{display:flex;flex-wrap:wrap;gap:.35rem 1.5rem;margin:0}
dt{color:var(--faint);font-size:.8125rem}dd{margin:0;overflow-wrap:anywhere}
.facts{margin:1.25rem 0}
#keys{margin:.2rem 0 0;color:var(--faint);font-size:.875rem;max-width:80rem}
kbd{font:inherit;color:var(--ink);border:1px solid var(--line);border-radius:3px;padding:0 .25rem;background:var(--panel)}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.9375rem}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.2rem 1.2rem .2rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--faint);font-weight:500}td{font-variant-numeric:tabular-nums}
summary{cursor:pointer;padding:.3rem 0;font-weight:600}
.still svg{width:100%;max-width:1400px;height:auto;display:block}
@media print{.tools,#keys,#detail,select,#runs:not([open]){display:none}body{padding:0}.map,table{break-inside:avoid}canvas{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
