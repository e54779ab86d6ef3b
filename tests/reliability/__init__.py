"""What is promised under crashes, power cuts, full disks and forks, statement by statement.

The counts are those for CI; `EVENTBUS_LONG=1` takes the long ones, and
`EVENTBUS_RUNS=n` any other.
"""
