"""The live board: a local, read-only page over several ledgers, which changes while studies run.

read.py    from the files of a study to a BoardStudy
page.py    the HTML of the board and of its parts
server.py  the server: loopback, token, server-sent events
"""
