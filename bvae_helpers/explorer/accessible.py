"""Accessible names for the explorer's widgets: what a screen reader calls each slider, button and picture.

ipywidgets has no field for them, so a few lines of JavaScript set the attributes in the page. Where a front end runs no
scripts in widgets, the names are missing and all else works.
"""

import html
import json

import ipywidgets as widgets

__all__ = ["PICTURES", "labeller"]

SCRIPT = """
const root = this.closest('.bvae-explorer'), names = NAMES;
const set = (element, name, value) => element.getAttribute(name) !== value && element.setAttribute(name, value);
const label = () => {
    for (const slider of root.querySelectorAll('.widget-slider')) {
        const handle = slider.querySelector('.noUi-handle, .ui-slider-handle'), reset = slider.nextElementSibling;
        const name = slider.querySelector('.widget-label').textContent;
        if (handle) set(handle, 'aria-label', name);
        if (reset && reset.matches('button')) set(reset, 'aria-label', 'reset ' + name);
    }
    for (const [place, name] of Object.entries(names))
        for (const image of root.querySelectorAll('img.' + place)) set(image, 'alt', name);
    for (const play of root.querySelectorAll('.widget-play'))
        play.querySelectorAll('button').forEach((button, k) => {
            for (const name of ['title', 'aria-label']) set(button, name, ['play', 'stop', 'repeat'][k]);
        });
    for (const choice of root.querySelectorAll('.widget-dropdown select')) set(choice, 'aria-label', 'interpolate to');
};
label();
new MutationObserver(label).observe(root, {childList: true, subtree: true, characterData: true});
"""
# The class of a picture -> its alt text
PICTURES = {"bvae-starts": "the starting points", "bvae-now": "original, reconstruction, and the picture now",
            "bvae-film": "the latent that was moved last, from one end of its range to the other"}


def labeller() -> widgets.HTML:
    """An invisible widget whose script names all others in the same element of the class ``bvae-explorer``."""
    script = html.escape(SCRIPT.replace("NAMES", json.dumps(PICTURES)))
    return widgets.HTML(f'<img src="data:," alt="" onerror="{script}">', layout={"display": "none"})
