"""Comparisons as text: in the terminal and in files, each with its footer.

Others use `terminal` (`table`, `show`), `layout` (`Cells`, `lay_out`, `csv_text`), `formats`, `record` (`to_frame`),
`run_list`, `explain`, `effects` and `choices` (the names of formats, quick to import).
"""
