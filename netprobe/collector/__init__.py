"""The service: wires discovery, planning, bus, analysis and store together.

``settings`` says what it is told, ``state`` what it keeps, ``course`` what is planned next, ``intake`` what
it lets in, ``service`` runs it.
"""
