// Draws the charts of this page. Colours are CSS variables: see theme.py.
(() => {
  "use strict";
  const { charts, formatLocale } = JSON.parse(document.getElementById("chart-data").textContent);

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

  Promise.all(Object.entries(charts).map(draw)).then(() => {
    document.documentElement.dataset.charts = "drawn";
  });
})();
