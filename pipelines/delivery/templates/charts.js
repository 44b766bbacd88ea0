// Draws the charts of this page and says so when the page itself is old. Colours are CSS variables: see theme.py.
(() => {
  "use strict";
  const { charts, formatLocale, overdueHours } = JSON.parse(document.getElementById("chart-data").textContent);

  const options = {
    actions: false,
    renderer: "svg", // a canvas does not know CSS variables
    ast: true, // interpreted expressions: the page's policy forbids eval
    defaultStyle: false,
    formatLocale,
    tooltip: { theme: "daybreak", disableDefaultStyle: true },
  };

  const draw = async ([name, spec]) => {
    const place = document.getElementById(`chart-${name}`);
    try {
      await vegaEmbed(place, spec, options);
    } catch (error) {
      place.textContent = "This chart could not be drawn; its numbers stand below.";
      console.error(`chart ${name}`, error);
    }
  };

  // When nothing runs at all, nobody sets a banner: so the page looks at the clock itself.
  const warnWhenOverdue = () => {
    const publishedAt = Date.parse(document.querySelector('meta[name="daybreak-published-at"]').content);
    const hours = Math.floor((Date.now() - publishedAt) / 3_600_000);
    if (hours >= overdueHours && !document.getElementById("stale")) {
      document.getElementById("overdue-hours").textContent = hours;
      document.getElementById("overdue").hidden = false;
    }
  };

  warnWhenOverdue();
  setInterval(warnWhenOverdue, 600_000); // a page left open on a wall gets old too
  Promise.all(Object.entries(charts).map(draw)).then(() => {
    document.documentElement.dataset.charts = "drawn";
  });
})();
