"""The live board: a local, read-only page over several ledgers, which changes while studies run.

read.py          from the files of a study to a BoardStudy
months.py        its runs beside each other, such as one a month
shadow_tests.py  from a production log to a BoardShadow
page.py          the HTML of the board and of its parts
server.py        the server: loopback, token, server-sent events
"""
