// SQLSTATEs can be searched for: Sphinx leaves words out that are numbers.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parse(query);
    const [, searched, , highlighted] = parsed;
    for (const code of query.match(/\b\d{5}\b/g) || []) {
      searched.add(code);
      highlighted.add(code);
    }
    return parsed;
  };
});
