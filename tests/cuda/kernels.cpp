// The kernels of src/kernels/cuda/kernels.cu on the CPU, beside plain loops in double precision.
#define EMULATED
#include "../../src/kernels/cuda/kernels.cu"

static int failures = 0;

static double uniform() {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / (1 << 24) * 2 - 1;
}

template <class N> std::vector<typename N::Stored> numbers(size_t count, double size) {
    std::vector<typename N::Stored> all(count);
    for (auto &v : all) v = N::put((float)(uniform() * size));
    return all;
}

static void check(const char *what, const std::vector<double> &found, const std::vector<double> &expected, double limit) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < found.size(); i++) {
        difference += (found[i] - expected[i]) * (found[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    const double error = std::sqrt(difference / norm);
    const bool good = error <= limit;
    failures += !good;
    printf("%s %-44s relative error %.1e\n", good ? "ok  " : "FAIL", what, error);
}

template <class N> std::vector<double> wide(const std::vector<typename N::Stored> &all) {
    std::vector<double> out;
    for (auto v : all) out.push_back(N::get(v));
    return out;
}

typedef void Attend(const u16 *, const u16 *, const u16 *, u16 *, int, int, int, int, int, float);

template <class N>
void attention(const char *name, Attend *kernel, int batch, int heads, int n, int m, int d, bool one_text, double limit) {
    const int c = heads * d, texts = one_text ? 1 : batch;
    auto q = numbers<N>((size_t)batch * n * c, 3), k = numbers<N>((size_t)texts * m * c, 3), v = numbers<N>((size_t)texts * m * c, 1);
    // What is not written shows.
    std::vector<u16> out(q.size(), N::put(1000));
    const float scale = (float)(1 / std::sqrt((double)d) * 1.4426950408889634);
    emulated::launch({(unsigned)(n + 63) / 64, (unsigned)heads, (unsigned)batch}, 128,
                     [&] { kernel(q.data(), k.data(), v.data(), out.data(), n, m, c, d, one_text, scale); });
    std::vector<double> expected(out.size());
    for (int b = 0; b < batch; b++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < n; i++) {
                const size_t text = one_text ? 0 : b;
                std::vector<double> scores(m);
                double sum = 0;
                for (int j = 0; j < m; j++) {
                    double dot = 0;
                    for (int x = 0; x < d; x++)
                        dot += (double)N::get(q[((size_t)b * n + i) * c + h * d + x]) * N::get(k[(text * m + j) * c + h * d + x]);
                    sum += scores[j] = std::exp(dot / std::sqrt((double)d));
                }
                for (int x = 0; x < d; x++) {
                    double y = 0;
                    for (int j = 0; j < m; j++) y += scores[j] / sum * N::get(v[(text * m + j) * c + h * d + x]);
                    expected[((size_t)b * n + i) * c + h * d + x] = y;
                }
            }
    check(name, wide<N>(out), expected, limit);
}

template <class N, class Kernel> void group_norms(const char *name, Kernel *kernel, double limit) {
    const int batch = 2, channels = 12, groups = 3, area = 20, len = channels / groups * area;
    auto x = numbers<N>(batch * channels * area, 2), weight = numbers<N>(channels, 1), bias = numbers<N>(channels, 1);
    for (auto &v : x) v = N::put(N::get(v) + 1.5f);
    for (int with_silu = 0; with_silu < 2; with_silu++) {
        auto out = numbers<N>(x.size(), 1);
        emulated::launch({(unsigned)(batch * groups), 1, 1}, 64, [&] {
            kernel(x.data(), weight.data(), bias.data(), out.data(), groups, len, area, 1e-5f, with_silu);
        });
        std::vector<double> expected;
        for (size_t i = 0; i < x.size(); i++) {
            double mean = 0, variance = 0;
            for (int j = 0; j < len; j++) mean += N::get(x[i / len * len + j]) / (double)len;
            for (int j = 0; j < len; j++) variance += std::pow(N::get(x[i / len * len + j]) - mean, 2) / len;
            const int channel = i / area % channels;
            const double y = (N::get(x[i]) - mean) / std::sqrt(variance + 1e-5) * N::get(weight[channel]) + N::get(bias[channel]);
            expected.push_back(with_silu ? y / (1 + std::exp(-y)) : y);
        }
        check(name, wide<N>(out), expected, limit);
    }
}

template <class N, class Kernel> void layer_norms(const char *name, Kernel *kernel, double limit) {
    const int rows = 5, width = 328;
    auto x = numbers<N>(rows * width, 2), weight = numbers<N>(width, 1), bias = numbers<N>(width, 1);
    auto out = numbers<N>(x.size(), 1);
    emulated::launch({rows, 1, 1}, 128, [&] { kernel(x.data(), weight.data(), bias.data(), out.data(), width, 1e-5f); });
    std::vector<double> expected;
    for (int i = 0; i < rows * width; i++) {
        double mean = 0, variance = 0;
        for (int j = 0; j < width; j++) mean += N::get(x[i / width * width + j]) / (double)width;
        for (int j = 0; j < width; j++) variance += std::pow(N::get(x[i / width * width + j]) - mean, 2) / width;
        expected.push_back((N::get(x[i]) - mean) / std::sqrt(variance + 1e-5) * N::get(weight[i % width]) + N::get(bias[i % width]));
    }
    check(name, wide<N>(out), expected, limit);
}

template <class N, class Kernel> void gates(const char *name, Kernel *kernel, double limit) {
    const int rows = 7, width = 44;
    auto x = numbers<N>(rows * 2 * width, 4), out = numbers<N>(rows * width, 1);
    const i64 count = rows * width / 4;
    emulated::launch({(unsigned)((count + 31) / 32), 1, 1}, 32, [&] { kernel(x.data(), out.data(), width, count); });
    std::vector<double> expected;
    for (int i = 0; i < rows * width; i++) {
        const double value = N::get(x[i / width * 2 * width + i % width]), z = N::get(x[i / width * 2 * width + width + i % width]);
        expected.push_back(value * 0.5 * z * (1 + std::erf(z / std::sqrt(2.0))));
    }
    check(name, wide<N>(out), expected, limit);
}

template <class N, class Kernel> void shifts(const char *name, Kernel *kernel, double limit) {
    struct Case { int rows, area, count; };
    for (const Case c : {Case{7, 1, 12}, Case{2, 20, 6}, Case{1, 8, 10}}) {
        const int all = c.rows * c.area * c.count;
        auto x = numbers<N>(all, 2), by = numbers<N>(c.count, 1), out = numbers<N>(all, 1);
        emulated::launch({(unsigned)(all / 4 + 31) / 32, 1, 1}, 32,
                         [&] { kernel(x.data(), by.data(), out.data(), c.area, c.count, (i64)all / 4); });
        std::vector<double> expected;
        for (int i = 0; i < all; i++) expected.push_back((double)N::get(x[i]) + N::get(by[i / c.area % c.count]));
        check(name, wide<N>(out), expected, limit);
    }
}

static void bytes() {
    const int area = 77;
    auto x = numbers<F32>(3 * area, 1.3);
    std::vector<u32> out(area);
    emulated::launch({3, 1, 1}, 32, [&] { rgba8(x.data(), out.data(), area); });
    std::vector<double> found, expected;
    for (int i = 0; i < area; i++)
        for (int plane = 0; plane < 4; plane++) {
            found.push_back(out[i] >> (8 * plane) & 255);
            const double v = std::fmin(std::fmax(x[(size_t)(plane % 3) * area + i] * 0.5 + 0.5, 0), 1) * 255;
            expected.push_back(plane == 3 ? 255 : std::floor(v + 0.5));
        }
    check("bytes of pixels", found, expected, 0);
}

int main() {
    attention<F16>("attention, half, 48: 40 wide, odd lengths", attend_f16_48, 2, 2, 70, 77, 40, true, 1e-3);
    attention<F16>("attention, half, 48: a text for each", attend_f16_48, 2, 1, 16, 130, 48, false, 1e-3);
    attention<F16>("attention, half, 64: pixels", attend_f16_64, 1, 3, 128, 128, 64, false, 1e-3);
    attention<F16>("attention, half, 64: 8 wide, one key", attend_f16_64, 1, 2, 5, 1, 8, true, 1e-3);
    attention<F16>("attention, half, 80", attend_f16_80, 1, 2, 65, 66, 80, false, 1e-3);
    attention<F16>("attention, half, 160", attend_f16_160, 2, 1, 64, 77, 160, true, 1e-3);
    attention<BF16>("attention, bfloat16, 48", attend_bf16_48, 1, 1, 33, 77, 40, true, 8e-3);
    attention<BF16>("attention, bfloat16, 64", attend_bf16_64, 1, 2, 64, 100, 64, false, 8e-3);
    attention<BF16>("attention, bfloat16, 80", attend_bf16_80, 1, 1, 20, 64, 80, false, 8e-3);
    attention<BF16>("attention, bfloat16, 160", attend_bf16_160, 1, 1, 20, 64, 160, false, 8e-3);
    group_norms<F32>("group norm, float32", group_norm_f32, 1e-6);
    group_norms<F16>("group norm, half", group_norm_f16, 5e-4);
    group_norms<BF16>("group norm, bfloat16", group_norm_bf16, 4e-3);
    layer_norms<F32>("layer norm, float32", layer_norm_f32, 1e-6);
    layer_norms<F16>("layer norm, half", layer_norm_f16, 5e-4);
    layer_norms<BF16>("layer norm, bfloat16", layer_norm_bf16, 4e-3);
    gates<F32>("gate of GELU, float32", gelu_gate_f32, 1e-6);
    gates<F16>("gate of GELU, half", gelu_gate_f16, 5e-4);
    gates<BF16>("gate of GELU, bfloat16", gelu_gate_bf16, 4e-3);
    shifts<F32>("shift, float32", shift_f32, 1e-6);
    shifts<F16>("shift, half", shift_f16, 5e-4);
    shifts<BF16>("shift, bfloat16", shift_bf16, 4e-3);
    bytes();
    return failures > 0;
}
