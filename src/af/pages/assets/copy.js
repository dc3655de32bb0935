// Buttons that copy the text beside them; hidden where scripts do not run.

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling); // no permission: ready for Ctrl+C
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = label), 1500);
});
