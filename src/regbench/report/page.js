"use strict";
// The table is sorted, filtered and copied; the plots take the colours of the page, and boxes hide their lines.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
  const printed = window.matchMedia("print");
  const body = document.querySelector("#rows tbody");
  const heads = [...document.querySelectorAll("#rows th")];
  const said = document.getElementById("said");

  // "+0.58" and "<.001" are numbers, "10/10" sorts by its first; text without digits sorts behind them.
  const number = (text) => {
    const value = parseFloat(text.replace(/^[<+]+/, "").replace("−", "-"));
    return text.startsWith("<") ? 0 : value;
  };
  const compared = (a, b) => {
    const [left, right] = [number(a), number(b)];
    if (!Number.isNaN(left) && !Number.isNaN(right) && left !== right) return left - right;
    if (Number.isNaN(left) !== Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
    return a.localeCompare(b, undefined, { numeric: true });
  };

  const sort = (place) => {
    const head = heads[place];
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = (row) => row.cells[place].textContent;
    const full = [...body.rows].filter((row) => text(row) !== "");
    const empty = [...body.rows].filter((row) => text(row) === "");
    full.sort((a, b) => (up ? 1 : -1) * compared(text(a), text(b)));
    body.append(...full, ...empty);
  };
  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => sort(place)));

  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const row of body.rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = [...body.rows].filter((row) => !row.hidden).length;
    said.textContent = `${shown} of ${body.rows.length} rows`;
  });

  const copyBySelection = () => {
    const area = document.createElement("textarea");
    area.value = data.csv;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  document.getElementById("copy").addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(data.csv);
    } catch {
      done = copyBySelection();
    }
    said.textContent = done ? "Copied: all rows and columns, unrounded" : "The browser does not allow it";
  });

  const roots = () => (window.Bokeh ? Bokeh.documents.flatMap((found) => found.roots()) : []);
  const paint = () => {
    const ink = dark.matches && !printed.matches ? "#e8e8e8" : "#1a1a1a";
    for (const plot of roots()) {
      plot.toolbar.visible = !printed.matches;
      for (const axis of [...plot.below, ...plot.left].filter((part) => "axis_label" in part)) {
        axis.axis_label_text_color = axis.major_label_text_color = ink;
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = ink;
      }
    }
  };
  const show = () => {
    for (const box of document.querySelectorAll("#lines input")) {
      for (const plot of roots()) {
        plot.renderers.filter((part) => part.name === box.value).forEach((part) => { part.visible = box.checked; });
      }
    }
  };
  document.getElementById("lines")?.addEventListener("change", show);
  dark.addEventListener("change", paint);
  printed.addEventListener("change", paint);

  // What is folded is printed too, and folded again afterwards.
  const folded = new Set();
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((part) => folded.add(part));
    folded.forEach((part) => { part.open = true; });
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((part) => { part.open = false; });
    folded.clear();
  });

  // One plot after another, so that the page answers meanwhile; idle time draws those that are out of sight.
  const draw = async () => {
    window.Bokeh?.set_log_level("warn");
    for (const item of data.plots) {
      await new Promise((done) => window.requestIdleCallback?.(done, { timeout: 200 }) ?? setTimeout(done));
      await Bokeh.embed.embed_item(item);
      const plot = roots().at(-1);
      if (window.matchMedia("(pointer: coarse)").matches) plot.toolbar.active_drag = null; // a drag scrolls the page
      paint();
      show();
    }
    document.documentElement.dataset.drawn = Math.round(performance.now());
  };
  document.documentElement.dataset.ready = Math.round(performance.now()); // milliseconds from the start
  window.addEventListener("load", draw);
})();
