"""The viewer: pages in the browser, served to this machine alone.

A `ViewServer` serves the page and answers its questions; what is looked at (a store, runs, a recording) is a page's
`Site`, which is loaded while the browser already shows the page. Nothing here needs more than Python brings.
"""
