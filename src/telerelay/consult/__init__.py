"""
What a consult is: its plan, its facts, and what follows from them. Sans-I/O: time and ids come in, facts go out.
"""
