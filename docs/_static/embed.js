// Puts the student's page in the place of its screenshot. Opened from the disk, the
// documentation keeps the screenshot: a browser loads no model from there.
if (location.protocol.startsWith("http")) {
  const frame = document.createElement("iframe");
  frame.src = new URL("student/index.html", document.currentScript.src);
  frame.title = "A page that draws digits on your machine";
  frame.style = "border: 0; height: 62rem; width: 100%";
  frame.addEventListener("load", () => {
    const page = frame.contentDocument.documentElement;
    const fit = () => { frame.style.height = `${page.offsetHeight}px`; };
    new ResizeObserver(fit).observe(page);
  });
  document.querySelector("figure.student").replaceChildren(frame);
}
