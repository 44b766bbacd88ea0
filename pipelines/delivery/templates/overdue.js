// Says so when the page itself is old: when nothing runs at all, nobody sets a banner, so the page looks at the clock.
(() => {
  "use strict";
  const notice = document.getElementById("overdue");

  const warnWhenOverdue = () => {
    const publishedAt = Date.parse(document.querySelector('meta[name="daybreak-published-at"]').content);
    const hours = Math.floor((Date.now() - publishedAt) / 3_600_000);
    if (hours >= Number(notice.dataset.hours) && !document.getElementById("stale")) {
      document.getElementById("overdue-hours").textContent = hours;
      notice.hidden = false;
    }
  };

  warnWhenOverdue();
  setInterval(warnWhenOverdue, 600_000); // a page left open on a wall gets old too
})();
