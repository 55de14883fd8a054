// Show the formulas of a page with KaTeX: Sphinx leaves them as text between \( \) or \[ \].
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".math")) {
    const text = element.textContent.trim();
    const formula = text.replace(/^\\[([]/, "").replace(/\\[)\]]$/, "");
    katex.render(formula, element, {displayMode: element.tagName === "DIV", throwOnError: false});
  }
});
