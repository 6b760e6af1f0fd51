"""The commands of `urface`, one file each: arguments in, the library's doors called, an exit code out."""
