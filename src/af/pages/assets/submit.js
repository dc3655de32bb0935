// Sends the page's one form by itself; its button stays for where scripts do not run.

document.querySelector("form[data-submit]")?.submit();
