"""The commands of `urface`, one file each: arguments in, an exit code out."""
