"""The bridge into the MindSpore compiler: a plugin without logic, its builder and its loader."""
