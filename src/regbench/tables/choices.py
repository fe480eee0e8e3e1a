"""The formats and columns of tables: the choices, without the time that pandas takes to import."""

SUMMARY_FORMATS = {"csv": "to_csv", "md": "to_markdown", "latex": "to_latex", "json": "to_json", "html": "to_html"}
RUN_LIST_FORMATS = {"csv": "to_csv", "json": "to_json"}
ENDINGS = {  # of file names, each with its format
    "txt": "table",
    "csv": "csv",
    "md": "md",
    "tex": "latex",
    "json": "json",
    "html": "html",
    "htm": "html",
    "parquet": "parquet",
}
SHOWN = ("std", "se", "median", "seeds")  # columns on request
