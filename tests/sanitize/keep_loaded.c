// Linked into every program of the AddressSanitizer build. The Vulkan loader unloads a driver
// when its instance goes; a leak inside the driver would then lie in an unknown module, which
// leaks.txt could not name. Here a library, once loaded, stays.
__attribute__((visibility("default"))) int dlclose(void *library);

int dlclose(void *library)
{
    (void)library;
    return 0;
}
