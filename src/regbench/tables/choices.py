"""The formats of tables: the choices, each with its function, without the time that pandas takes to import."""

SUMMARY_FORMATS = {"csv": "to_csv", "md": "to_markdown", "latex": "to_latex", "json": "to_json", "html": "to_html"}
RUN_LIST_FORMATS = {"csv": "to_csv", "json": "to_json"}
