import mmap
import sys

# frames taken, ready, TCP packets, frames done, frames held back
words = memoryview(mmap.mmap(3, mmap.PAGESIZE)).cast("Q")
