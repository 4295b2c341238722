// libcuda.so made of the processor. Streams do nothing before somebody waits for them, so that who does not wait reads what
// was there before; memory is NaN until it is written, ends at a page that nobody may touch, and is gone when it is freed; a
// stream that is recorded refuses what a card refuses. Kernels are those of the PTX that is loaded, as ptx.py writes them in
// C++, one library each, kept in $CARD_KERNELS.
#include "card.h"
#include "machine.h"

#include <cuda.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace card {

typedef std::function<void()> Task;

[[noreturn]] static void stop(const std::string &why) {
    fprintf(stderr, "card: %s\n", why.c_str());
    abort();
}

static std::recursive_mutex all;
typedef std::lock_guard<std::recursive_mutex> Lock;

// Memory of the card.
struct Block {
    char *mapped;
    size_t pages;
    size_t size;
};
static std::map<char *, Block> blocks;
static std::map<char *, size_t> pinned;
static size_t held = 0, most_held = 0;
constexpr size_t PAGE = 4096, MEMORY = (size_t)8 << 30;

static char *map_block(size_t size) {
    size = size ? size : 1;
    const size_t room = (size + 15) / 16 * 16, pages = (room + PAGE - 1) / PAGE * PAGE + PAGE;
    if (held + size > MEMORY) return nullptr;
    char *mapped = (char *)mmap(nullptr, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    mprotect(mapped + pages - PAGE, PAGE, PROT_NONE);
    char *at = mapped + pages - PAGE - room;
    blocks[at] = {mapped, pages, size};
    held += size;
    most_held = held > most_held ? held : most_held;
    return at;
}
static void poison(char *at) { memset(at, 0xff, blocks.at(at).size); }
static void unmap_block(char *at) {
    const Block block = blocks.at(at);
    blocks.erase(at);
    held -= block.size;
    munmap(block.mapped, block.pages);
}

bool holds(const void *at, size_t bytes) {
    auto after = blocks.upper_bound((char *)at);
    if (after == blocks.begin()) return false;
    const auto &[begin, block] = *--after;
    return (char *)at + bytes <= begin + block.size;
}
void must_hold(const char *what, const void *at, size_t bytes) {
    if (bytes && !holds(at, bytes)) stop(std::string(what) + " touches memory that is not the card's");
}

struct Graph {
    std::vector<Task> tasks;
    std::set<char *> allocated, freed;
    size_t launches = 0, kernels = 0;
    ~Graph() { for (char *at : allocated) unmap_block(at); }
};

struct Stream {
    std::deque<Task> tasks;
    uint64_t put = 0, done = 0;
    std::shared_ptr<Graph> recorded;
    bool spoiled = false;
    std::thread::id by;
};
static std::set<Stream *> streams;
static Stream usual;

static void run(Stream *stream, uint64_t up_to) {
    while (stream->done < up_to && !stream->tasks.empty()) {
        Task task = std::move(stream->tasks.front());
        stream->tasks.pop_front();
        task();
        stream->done++;
    }
}
static void run_all() {
    run(&usual, usual.put);
    for (Stream *stream : streams) run(stream, stream->put);
}
static Stream *stream_of(CUstream stream) { return stream ? (Stream *)stream : &usual; }

void enqueue(Stream *stream, Task work) {
    Lock lock(all);
    if (stream->recorded) {
        stream->recorded->tasks.push_back(std::move(work));
        return;
    }
    stream->tasks.push_back(std::move(work));
    stream->put++;
}

// What may not be asked while this thread records.
static bool records_here() {
    bool here = false;
    for (Stream *stream : streams) {
        if (stream->recorded && stream->by == std::this_thread::get_id()) {
            stream->spoiled = true;
            here = true;
        }
    }
    return here;
}

struct Event { Stream *stream = nullptr; uint64_t at = 0; std::shared_ptr<double> ms = std::make_shared<double>(0); };

// Fibres: a stack and where it was left.
extern "C" void card_switch(void **from, void *to);
asm(R"(
.text
.globl card_switch
card_switch:
    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
    ret
)");
constexpr size_t STACK = 1 << 16;
struct Fibre { void *left = nullptr; bool done = false; Thread thread; std::vector<char> local; };
struct Meeting { u32 wanted = 0, came = 0; uint64_t number = 0; };
struct Group {
    std::vector<Fibre> fibres;
    char *stacks = nullptr;
    size_t room = 0;
    std::vector<u64> shown;
    Meeting of_block;
    std::vector<Meeting> of_warps;
    void *scheduler = nullptr;
    u32 current = 0;
    const Kernel *kernel = nullptr;
    uint64_t met = 0;
};
static Group group;

static void rest() { card_switch(&group.fibres[group.current].left, group.scheduler); }
static void meet(Meeting &meeting) {
    const uint64_t mine = meeting.number;
    if (++meeting.came == meeting.wanted) {
        meeting.came = 0;
        meeting.number++;
        group.met++;
        return;
    }
    while (meeting.number == mine) rest();
}
static void meet_all(Thread &) { meet(group.of_block); }
static void meet_lanes(Thread &thread) { meet(group.of_warps[thread.number / 32]); }
static u64 *shown_by(Thread &thread, u32 lane) { return &group.shown[thread.number / 32 * 32 + lane]; }
static void leave(Meeting &meeting) {
    meeting.wanted--;
    if (meeting.wanted && meeting.came == meeting.wanted) {
        meeting.came = 0;
        meeting.number++;
    }
}
static void enter() {
    Fibre &fibre = group.fibres[group.current];
    group.kernel->run(fibre.thread);
    fibre.done = true;
    group.met++;
    leave(group.of_block);
    leave(group.of_warps[fibre.thread.number / 32]);
    for (;;) rest();
}

static void launch(const Kernel &kernel, Dim grid, Dim block, u32 dynamic, const std::vector<char> &params) {
    const u32 threads = block.x * block.y * block.z;
    std::vector<char> shared(MOST_STATIC + dynamic + 16);
    char *const shared_at = (char *)(((u64)shared.data() + 15) / 16 * 16);
    group.kernel = &kernel;
    if (group.room < threads) {
        group.stacks = (char *)mmap(nullptr, STACK * threads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        group.room = threads;
    }
    group.fibres.resize(threads);
    group.shown.assign((threads + 31) / 32 * 32, 0);
    for (u32 z = 0; z < grid.z; z++) for (u32 y = 0; y < grid.y; y++) for (u32 x = 0; x < grid.x; x++) {
        memset(shared_at, 0xff, shared.size() - 16);
        group.of_block = {threads, 0, 0};
        group.of_warps.assign((threads + 31) / 32, Meeting{});
        for (u32 i = 0; i < threads; i++) {
            Fibre &fibre = group.fibres[i];
            fibre.local.resize(kernel.local_bytes + 16);
            const Dim tid = {i % block.x, i / block.x % block.y, i / block.x / block.y};
            fibre.thread = Thread{tid, block, {x, y, z}, grid, shared_at, (char *)(((u64)fibre.local.data() + 15) / 16 * 16),
                                  params.data(), 0, 0, i, nullptr, meet_all, meet_lanes, shown_by};
            fibre.done = false;
            group.of_warps[i / 32].wanted++;
            if (!kernel.meets) {
                kernel.run(fibre.thread);
                continue;
            }
            void **top = (void **)(group.stacks + STACK * (i + 1)) - 1;
            *top = nullptr;
            *--top = (void *)enter;
            for (int saved = 0; saved < 6; saved++) *--top = nullptr;
            fibre.left = top;
        }
        if (!kernel.meets) continue;
        for (bool over = false; !over;) {
            over = true;
            const uint64_t before = group.met;
            for (u32 i = 0; i < threads; i++) {
                if (group.fibres[i].done) continue;
                over = false;
                group.current = i;
                card_switch(&group.scheduler, group.fibres[i].left);
            }
            if (!over && group.met == before) stop("the threads of a block wait for each other");
        }
    }
}

// Which of the memory that a kernel was given holds what is no number afterwards.
static void tell_nan(const std::string &name, const Kernel &kernel, const std::vector<char> &params) {
    const bool bf16s = name.find("bf16") != std::string::npos, f16s = !bf16s && name.find("f16") != std::string::npos;
    for (u32 i = 0; i < kernel.params; i++) {
        if (kernel.parts[i].size != 8) continue;
        char *const at = load<char *>(params.data() + kernel.parts[i].at);
        const auto block = blocks.find(at);
        if (block == blocks.end()) continue;
        size_t count = 0, all = 0;
        float most = 0;
        for (size_t byte = 0; byte + 4 <= block->second.size; byte += bf16s || f16s ? 2 : 4, all++) {
            const float value = bf16s ? widened(load<bf16>(at + byte)) : f16s ? (float)load<f16>(at + byte) : load<float>(at + byte);
            count += std::isnan(value);
            most = std::fmax(most, std::fabs(value));
        }
        if (count || most > 1e6f) fprintf(stderr, "card: %s: argument %u holds %zu NaN of %zu numbers up to %g\n", name.c_str(), i, count, all, most);
    }
}

struct Module { std::string path; };
struct Function { Module *module; std::string name; const Kernel *kernel = nullptr; };

static const Kernel *compiled(Function &function) {
    if (function.kernel) return function.kernel;
    const char *folder = getenv("CARD_KERNELS"), *tools = getenv("CARD_TOOLS");
    if (!folder || !tools) stop("CARD_KERNELS and CARD_TOOLS are not set");
    const std::string base = function.module->path + "." + function.name, library = base + ".so";
    if (access(library.c_str(), R_OK) != 0) {
        const std::string command = std::string("python3 ") + tools + "/ptx.py " + function.module->path + " " + function.name + " > " + base +
            ".cpp && g++ -std=c++17 -O2 -ffp-contract=off -w -shared -fPIC -I" + tools + " -o " + library + ".new " + base + ".cpp && mv " + library + ".new " + library;
        if (system(command.c_str()) != 0) stop("cannot make " + function.name);
    }
    void *opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!opened) stop(dlerror());
    return function.kernel = (const Kernel *)dlsym(opened, "kernel");
}

// What there was to do, told at the end.
static struct Counts {
    uint64_t kernels = 0, by_graphs = 0, graphs = 0, replays = 0, waits = 0, allocations = 0;
    ~Counts() {
        if (getenv("CARD_COUNTS")) {
            fprintf(stderr, "card: %lu kernels started, %lu more by %lu graphs in %lu launches, %lu waits, %lu allocations, %zu bytes at most\n",
                    kernels, by_graphs, graphs, replays, waits, allocations, most_held);
        }
    }
} counts;

}  // namespace card

using namespace card;
#define API extern "C" __attribute__((visibility("default"))) CUresult

API cuInit(unsigned) { return CUDA_SUCCESS; }
// NVRTC asks for one, and goes on without.
API cuGetExportTable(const void **table, const CUuuid *) { *table = nullptr; return CUDA_ERROR_NOT_FOUND; }
API cuDriverGetVersion(int *version) { *version = 13000; return CUDA_SUCCESS; }
API cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
API cuDeviceGet(CUdevice *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API cuDeviceGetName(char *name, int len, CUdevice) { snprintf(name, len, "a card made of the processor"); return CUDA_SUCCESS; }
API cuDeviceTotalMem_v2(size_t *bytes, CUdevice) { *bytes = MEMORY; return CUDA_SUCCESS; }
API cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice) { memset(uuid, 1, sizeof *uuid); return CUDA_SUCCESS; }
API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 2; break;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
        default: *value = 1;
    }
    return CUDA_SUCCESS;
}
static int context;
API cuDevicePrimaryCtxRetain(CUcontext *made, CUdevice) { *made = (CUcontext)&context; return CUDA_SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
API cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
API cuCtxGetCurrent(CUcontext *now) { *now = (CUcontext)&context; return CUDA_SUCCESS; }
API cuCtxGetDevice(CUdevice *device) { *device = 0; return CUDA_SUCCESS; }
API cuCtxSetFlags(unsigned) { return CUDA_SUCCESS; }
API cuCtxSynchronize() {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    counts.waits++;
    run_all();
    return CUDA_SUCCESS;
}
API cuGetErrorName(CUresult error, const char **name) {
    static thread_local char text[32];
    snprintf(text, sizeof text, "CUDA_ERROR_%d", (int)error);
    *name = text;
    return CUDA_SUCCESS;
}
API cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }

API cuStreamCreate(CUstream *made, unsigned) {
    Lock lock(all);
    Stream *stream = new Stream;
    streams.insert(stream);
    *made = (CUstream)stream;
    return CUDA_SUCCESS;
}
API cuStreamCreateWithPriority(CUstream *made, unsigned flags, int) { return cuStreamCreate(made, flags); }
API cuStreamDestroy_v2(CUstream which) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    run(stream, stream->put);
    streams.erase(stream);
    delete stream;
    return CUDA_SUCCESS;
}
API cuStreamSynchronize(CUstream which) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    counts.waits++;
    run(stream_of(which), stream_of(which)->put);
    return CUDA_SUCCESS;
}
API cuStreamQuery(CUstream which) { return cuStreamSynchronize(which); }
API cuStreamWaitEvent(CUstream which, CUevent event, unsigned) {
    Lock lock(all);
    const Event now = *(Event *)event;
    if (now.stream) enqueue(stream_of(which), [now] { run(now.stream, now.at); });
    return CUDA_SUCCESS;
}
API cuEventCreate(CUevent *made, unsigned) { *made = (CUevent)new Event; return CUDA_SUCCESS; }
API cuEventDestroy_v2(CUevent event) { delete (Event *)event; return CUDA_SUCCESS; }
API cuEventRecord(CUevent event, CUstream which) {
    Lock lock(all);
    Event &now = *(Event *)event;
    Stream *stream = stream_of(which);
    if (stream->recorded) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    now.ms = std::make_shared<double>(0);
    enqueue(stream, [ms = now.ms] { *ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); });
    now.stream = stream;
    now.at = stream->put;
    return CUDA_SUCCESS;
}
API cuEventSynchronize(CUevent event) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    const Event &now = *(Event *)event;
    counts.waits++;
    if (now.stream) run(now.stream, now.at);
    return CUDA_SUCCESS;
}
API cuEventQuery(CUevent event) { return cuEventSynchronize(event); }
API cuEventElapsedTime_v2(float *ms, CUevent from, CUevent to) {
    *ms = (float)(*((Event *)to)->ms - *((Event *)from)->ms);
    return CUDA_SUCCESS;
}

API cuMemAlloc_v2(CUdeviceptr *made, size_t size) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    counts.allocations++;
    char *at = map_block(size);
    if (!at) return CUDA_ERROR_OUT_OF_MEMORY;
    poison(at);
    *made = (CUdeviceptr)at;
    return CUDA_SUCCESS;
}
API cuMemAllocAsync(CUdeviceptr *made, size_t size, CUstream which) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    counts.allocations += !stream->recorded;
    char *at = map_block(size);
    if (!at) return CUDA_ERROR_OUT_OF_MEMORY;
    if (stream->recorded) stream->recorded->allocated.insert(at);
    enqueue(stream, [at] { poison(at); });
    *made = (CUdeviceptr)at;
    return CUDA_SUCCESS;
}
API cuMemFree_v2(CUdeviceptr at) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    run_all();
    if (!blocks.count((char *)at)) return CUDA_ERROR_INVALID_VALUE;
    unmap_block((char *)at);
    return CUDA_SUCCESS;
}
API cuMemFreeAsync(CUdeviceptr pointer, CUstream which) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    char *const at = (char *)pointer;
    if (!blocks.count(at)) return CUDA_ERROR_INVALID_VALUE;
    if (stream->recorded) {
        if (!stream->recorded->allocated.count(at)) return CUDA_ERROR_INVALID_VALUE;
        stream->recorded->freed.insert(at);
        enqueue(stream, [at] { poison(at); });
        return CUDA_SUCCESS;
    }
    enqueue(stream, [at] { unmap_block(at); });
    return CUDA_SUCCESS;
}
API cuMemGetInfo_v2(size_t *free, size_t *total) {
    Lock lock(all);
    *total = MEMORY;
    *free = MEMORY - held;
    return CUDA_SUCCESS;
}
API cuMemHostAlloc(void **made, size_t size, unsigned) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    *made = malloc(size ? size : 1);
    pinned[(char *)*made] = size;
    return CUDA_SUCCESS;
}
API cuMemAllocHost_v2(void **made, size_t size) { return cuMemHostAlloc(made, size, 0); }
API cuMemFreeHost(void *at) {
    Lock lock(all);
    run_all();
    pinned.erase((char *)at);
    free(at);
    return CUDA_SUCCESS;
}
static bool is_pinned(const void *at) {
    auto after = pinned.upper_bound((char *)at);
    if (after == pinned.begin()) return false;
    --after;
    return (char *)at < after->first + after->second;
}
API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream which) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    if (is_pinned(from)) {
        enqueue(stream, [=] { must_hold("a copy to the card", (void *)to, bytes); memcpy((void *)to, from, bytes); });
        return CUDA_SUCCESS;
    }
    if (stream->recorded) { stream->spoiled = true; return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; }
    std::vector<char> kept((const char *)from, (const char *)from + bytes);
    enqueue(stream, [=] { must_hold("a copy to the card", (void *)to, bytes); memcpy((void *)to, kept.data(), bytes); });
    return CUDA_SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream which) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    if (stream->recorded && !is_pinned(to)) { stream->spoiled = true; return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; }
    enqueue(stream, [=] { must_hold("a copy from the card", (void *)from, bytes); memcpy(to, (void *)from, bytes); });
    if (!is_pinned(to)) {
        counts.waits++;
        run(stream, stream->put);
    }
    return CUDA_SUCCESS;
}
API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream which) {
    enqueue(stream_of(which), [=] {
        must_hold("a copy on the card", (void *)from, bytes);
        must_hold("a copy on the card", (void *)to, bytes);
        memmove((void *)to, (void *)from, bytes);
    });
    return CUDA_SUCCESS;
}
API cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t bytes, CUstream which) {
    enqueue(stream_of(which), [=] { must_hold("a fill", (void *)at, bytes); memset((void *)at, value, bytes); });
    return CUDA_SUCCESS;
}
API cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice) { *pool = (CUmemoryPool)&context; return CUDA_SUCCESS; }
API cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute, void *) { return CUDA_SUCCESS; }
API cuMemPoolTrimTo(CUmemoryPool, size_t) { return CUDA_SUCCESS; }

API cuModuleLoadData(CUmodule *made, const void *image) {
    Lock lock(all);
    if (records_here()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    const std::string text = (const char *)image;
    uint64_t hash = 1469598103934665603ull;
    for (char c : text) hash = (hash ^ (u8)c) * 1099511628211ull;
    char path[4096];
    snprintf(path, sizeof path, "%s/%016lx.ptx", getenv("CARD_KERNELS") ?: "/tmp", hash);
    if (FILE *file = access(path, R_OK) == 0 ? nullptr : fopen(path, "w")) {
        fwrite(text.data(), 1, text.size(), file);
        fclose(file);
    }
    *made = (CUmodule)new Module{path};
    return CUDA_SUCCESS;
}
API cuModuleLoadDataEx(CUmodule *made, const void *image, unsigned, CUjit_option *, void **) { return cuModuleLoadData(made, image); }
API cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
API cuModuleGetFunction(CUfunction *made, CUmodule module, const char *name) {
    Lock lock(all);
    static std::map<std::pair<Module *, std::string>, Function *> known;
    Function *&function = known[{(Module *)module, name}];
    if (!function) function = new Function{(Module *)module, name};
    *made = (CUfunction)function;
    return CUDA_SUCCESS;
}
API cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
API cuFuncGetAttribute(int *value, CUfunction_attribute, CUfunction) { *value = 0; return CUDA_SUCCESS; }
API cuLaunchKernel(CUfunction which, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned dynamic,
                   CUstream stream, void **params, void **) {
    Lock lock(all);
    if (!gx || !gy || !gz || !bx || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || dynamic > 232448 - 1024) return CUDA_ERROR_INVALID_VALUE;
    const Kernel &kernel = *compiled(*(Function *)which);
    std::vector<char> kept(kernel.param_bytes + 8);
    for (u32 i = 0; i < kernel.params; i++) memcpy(kept.data() + kernel.parts[i].at, params[i], kernel.parts[i].size);
    Stream *to = stream_of(stream);
    if (to->recorded) to->recorded->kernels++; else counts.kernels++;
    static const bool told = getenv("CARD_TRACE");
    const std::string name = ((Function *)which)->name;
    if (told) fprintf(stderr, "card: %s%s %ux%ux%u of %u\n", to->recorded ? "(recorded) " : "", name.c_str(), gx, gy, gz, bx * by * bz);
    enqueue(to, [=, &kernel] {
        launch(kernel, {gx, gy, gz}, {bx, by, bz}, dynamic, kept);
        if (told) tell_nan(name, kernel, kept);
    });
    return CUDA_SUCCESS;
}

API cuStreamBeginCapture_v2(CUstream which, CUstreamCaptureMode) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    if (stream == &usual || stream->recorded) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    stream->recorded = std::make_shared<Graph>();
    stream->spoiled = false;
    stream->by = std::this_thread::get_id();
    return CUDA_SUCCESS;
}
API cuStreamIsCapturing(CUstream which, CUstreamCaptureStatus *status) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    *status = !stream->recorded ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->spoiled ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
}
API cuStreamEndCapture(CUstream which, CUgraph *made) {
    Lock lock(all);
    Stream *stream = stream_of(which);
    *made = nullptr;
    if (!stream->recorded) return CUDA_ERROR_ILLEGAL_STATE;
    auto graph = std::move(stream->recorded);
    stream->recorded = nullptr;
    if (stream->by != std::this_thread::get_id()) return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (stream->spoiled) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    *made = (CUgraph)new std::shared_ptr<Graph>(graph);
    return CUDA_SUCCESS;
}
API cuGraphInstantiateWithFlags(CUgraphExec *made, CUgraph graph, unsigned long long) {
    Lock lock(all);
    auto &of = *(std::shared_ptr<Graph> *)graph;
    // A card would free them at the next launch, if it is asked to; here it is a mistake.
    if (of->allocated != of->freed) {
        fprintf(stderr, "card: a graph keeps %zu of %zu allocations\n", of->allocated.size() - of->freed.size(), of->allocated.size());
    }
    counts.graphs++;
    *made = (CUgraphExec)new std::shared_ptr<Graph>(of);
    return CUDA_SUCCESS;
}
API cuGraphUpload(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
API cuGraphLaunch(CUgraphExec exec, CUstream which) {
    Lock lock(all);
    auto graph = *(std::shared_ptr<Graph> *)exec;
    if (stream_of(which)->recorded) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (graph->launches++ && graph->allocated != graph->freed) return CUDA_ERROR_INVALID_VALUE;
    counts.replays++;
    counts.by_graphs += graph->kernels;
    enqueue(stream_of(which), [graph] { for (const Task &task : graph->tasks) task(); });
    return CUDA_SUCCESS;
}
// What a stream has still to do with it keeps it.
API cuGraphExecDestroy(CUgraphExec exec) { Lock lock(all); delete (std::shared_ptr<Graph> *)exec; return CUDA_SUCCESS; }
API cuGraphDestroy(CUgraph graph) { Lock lock(all); delete (std::shared_ptr<Graph> *)graph; return CUDA_SUCCESS; }
