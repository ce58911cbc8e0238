"""What reads cost, as ratios to what they cannot cost less than.

``make benchmarks`` prints them. There are no targets here: times of one
machine say nothing about another, and even ratios only compare what was
measured side by side.
"""

from computed import concurrency

# Before any other import, as in each program.
concurrency.choose()
