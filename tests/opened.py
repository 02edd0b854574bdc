"""Opening checks on the page with charts, in a Chromium: how long until it is ready, and from a click to the charts."""

from __future__ import annotations

import chromium

CLICK = """(async number => {
  const check = document.querySelectorAll('details')[number];
  const began = performance.now();
  check.querySelector('summary').click();
  while (!check.dataset.drawn && performance.now() - began < 30000) await new Promise(done => setTimeout(done, 4));
  // two frames: the first may have begun before the charts were there
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return check.dataset.drawn ? performance.now() - began : null;
})"""


def ready_s(tab: chromium.Tab) -> float:
    """From the navigation to the end of the load event, seconds."""
    return float(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")) / 1000


def click_s(tab: chromium.Tab, number: int) -> float:
    """From the click on the check of that number (from 0) until its charts are on the screen, seconds."""
    took = tab.evaluate(f"{CLICK}({number})")
    if took is None:
        raise chromium.ChromiumError(f"the charts of check {number} did not come")
    return float(took) / 1000
