"""What the process and the machine offer: devices, the cache folder, the allocator, the end of the process."""
