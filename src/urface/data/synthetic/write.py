def write_synthetic():
    pass
