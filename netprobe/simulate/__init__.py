"""A fleet without packets: the reports that agents would send while labelled faults come and go.

Pure and seeded. ``effects`` says what can be wrong, ``faults`` the labelled faults, ``world`` plays them,
``runner`` lets an analyst follow, ``scorer`` says what it named right.
"""
