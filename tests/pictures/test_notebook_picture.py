"""What a notebook shows of its jobs, in a real kernel; `make pictures` keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.kernel import kernel_notebook
from .album import keep
from .conftest import OpenPage, Shop

pytestmark = pytest.mark.pg("== 18")

_CELLS = (
    "%load_ext pg_background",
    """%%bg totals
SELECT shop, count(*) AS sold, sum(pieces) AS pieces
FROM delivery GROUP BY shop ORDER BY shop""",
    """%%bg forecast
CALL forecast_of_all_regions()""",
    """# The kernel is free: the forecast goes on.
totals.to_polars().select("shop", "sold")""",
)


def test_notebook(shop: Shop, open_page: OpenPage, tmp_path: Path) -> None:
    shop.server.execute(
        """CREATE TABLE delivery AS
             SELECT (ARRAY['Bergen', 'Lyon', 'Porto'])[1 + n % 3] AS shop, n % 7 AS pieces
             FROM generate_series(1, 5000) AS n;
           GRANT ALL ON delivery TO reporting;
           CREATE PROCEDURE forecast_of_all_regions() LANGUAGE plpgsql AS $$
           BEGIN
             PERFORM pg_background_progress(40, '40 of 100 regions');
             COMMIT;
             PERFORM pg_sleep(3600);
           END $$""",
        shop.database,
    )
    with kernel_notebook(tmp_path, _CELLS, PG_BACKGROUND_DSN=shop.dsn(user="reporting")) as notebook:
        notebook.run()
        notebook.wait_for(1, "<td>Porto</td>")
        notebook.wait_for(2, 'value="40"')
        assert "40 of 100 regions" in notebook.shown(2)
        page_of_it = notebook.as_page()
    # Without scripts: those of Jupyter's page lie elsewhere, and none of it needs them.
    with open_page(viewport={"width": 760, "height": 600}, java_script_enabled=False) as page:
        page.set_content(page_of_it)
        keep("notebook.png", page.locator("main").screenshot())
