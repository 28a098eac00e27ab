// What was sent while the connection was lost is missing from a page that is half computed. Streamlit cannot put what
// follows in its place ("Bad delta path") and leaves an empty window. Loading it again shows what its address says.
if (!window.cpcReloads) {
  window.cpcReloads = true;
  addEventListener("error", () =>
    setTimeout(() => {
      const before = Number(sessionStorage.getItem("cpc-reloaded"));
      const empty = !document.getElementById("root").childElementCount;
      if (!empty || Date.now() - before < 10000) return; // a page that is empty again stays so, with its error
      sessionStorage.setItem("cpc-reloaded", Date.now());
      location.reload();
    }),
  );
}
