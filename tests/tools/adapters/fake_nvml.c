/* A machine of two GPUs behind NVML's C interface, for machines without one. Only what tools/adapters/nvml.py calls. */
#include <string.h>

typedef struct { unsigned int cap_mw, clock_mhz; } gpu_t;
static gpu_t gpus[2] = {{700000, 1980}, {700000, 1980}};
static int number(void *handle) { return (gpu_t *)handle == &gpus[1]; }

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned int flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 4 ? "Insufficient Permissions" : "Unknown Error"; }
int nvmlSystemGetDriverVersion(char *to, unsigned int n) { strncpy(to, "580.95", n); return 0; }
int nvmlDeviceGetCount_v2(unsigned int *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int k, void **to) { *to = &gpus[k]; return 0; }
int nvmlDeviceGetName(void *g, char *to, unsigned int n) { (void)g; strncpy(to, "NVIDIA H100 80GB HBM3", n); return 0; }
int nvmlDeviceGetPowerUsage(void *g, unsigned int *mw) { *mw = number(g) ? 520000 : 480000; return 0; }
int nvmlDeviceGetTemperature(void *g, int kind, unsigned int *c) { (void)kind; *c = number(g) ? 61 : 55; return 0; }
int nvmlDeviceGetClockInfo(void *g, int kind, unsigned int *mhz) { (void)kind; *mhz = ((gpu_t *)g)->clock_mhz; return 0; }
int nvmlDeviceGetPowerManagementLimit(void *g, unsigned int *mw) { *mw = ((gpu_t *)g)->cap_mw; return 0; }
int nvmlDeviceGetPowerManagementLimitConstraints(void *g, unsigned int *low, unsigned int *high) { (void)g; *low = 200000; *high = 700000; return 0; }
int nvmlDeviceSetPowerManagementLimit(void *g, unsigned int mw) { ((gpu_t *)g)->cap_mw = mw; return 0; }
int nvmlDeviceSetGpuLockedClocks(void *g, unsigned int low, unsigned int high) { (void)low; if (number(g) && high < 500) return 4; ((gpu_t *)g)->clock_mhz = high; return 0; }
/* The second GPU keeps no ECC counters. */
int nvmlDeviceGetTotalEccErrors(void *g, int kind, int counter, unsigned long long *n) { (void)counter; if (number(g)) return 3; *n = kind == 0 ? 7 : 0; return 0; }
