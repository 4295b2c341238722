// What wavedream asks of cuBLAS, cuDNN and cuRAND, in float32 on the processor. A workspace is filled with what is no number.
#include "card.h"
#include "machine.h"

#include <cublas_v2.h>
#include <cudnn.h>
#include <curand.h>

#include <memory>
#include <vector>

using card::Stream;

static void refuse(const char *what) {
    fprintf(stderr, "card: not known: %s\n", what);
    abort();
}

static size_t size_of(cudaDataType type) {
    switch (type) {
        case CUDA_R_16F: case CUDA_R_16BF: return 2;
        case CUDA_R_32F: return 4;
        default: refuse("a type of cuBLAS"); return 0;
    }
}
static float read(const void *from, cudaDataType type, size_t at) {
    switch (type) {
        case CUDA_R_16F: return (float)((const f16 *)from)[at];
        case CUDA_R_16BF: return widened(((const bf16 *)from)[at]);
        default: return ((const float *)from)[at];
    }
}
static void write(void *to, cudaDataType type, size_t at, float value) {
    switch (type) {
        case CUDA_R_16F: ((f16 *)to)[at] = (f16)value; break;
        case CUDA_R_16BF: ((bf16 *)to)[at] = narrowed(value); break;
        default: ((float *)to)[at] = value;
    }
}

// rows x depth times depth x columns, all row after row.
static std::vector<float> product(const std::vector<float> &a, const std::vector<float> &b, size_t rows, size_t depth, size_t columns) {
    std::vector<float> out(rows * columns, 0.0f);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < depth; k++) {
            const float x = a[i * depth + k];
            const float *from = &b[k * columns];
            float *to = &out[i * columns];
            for (size_t j = 0; j < columns; j++) to[j] += x * from[j];
        }
    return out;
}

struct Handle { Stream *stream = nullptr; };

cublasStatus_t cublasCreate_v2(cublasHandle_t *made) { *made = (cublasHandle_t)new Handle; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) { delete (Handle *)handle; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    ((Handle *)handle)->stream = (Stream *)stream;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *, size_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType type_a, int lda, long long stride_a,
                                          const void *b, cudaDataType type_b, int ldb, long long stride_b, const void *beta, void *c,
                                          cudaDataType type_c, int ldc, long long stride_c, int batch, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
    const bool halves = compute == CUBLAS_COMPUTE_16F;
    const float by = halves ? (float)*(const f16 *)alpha : *(const float *)alpha;
    const float kept = halves ? (float)*(const f16 *)beta : *(const float *)beta;
    if (kept != 0.0f) refuse("a product that is added");
    if (!((Handle *)handle)->stream) refuse("a product without a stream");
    // Columns lie together: C' = B' A', and a row of C' is a column of C.
    card::enqueue(((Handle *)handle)->stream, [=] {
        const size_t M = m, N = n, K = k;
        for (long long i = 0; i < batch; i++) {
            const char *at_a = (const char *)a + i * stride_a * size_of(type_a), *at_b = (const char *)b + i * stride_b * size_of(type_b);
            char *at_c = (char *)c + i * stride_c * size_of(type_c);
            const size_t columns_a = of_a == CUBLAS_OP_N ? K : M, columns_b = of_b == CUBLAS_OP_N ? N : K;
            const size_t rows_a = of_a == CUBLAS_OP_N ? M : K, rows_b = of_b == CUBLAS_OP_N ? K : N;
            card::must_hold("a product", at_a, ((columns_a - 1) * lda + rows_a) * size_of(type_a));
            card::must_hold("a product", at_b, ((columns_b - 1) * ldb + rows_b) * size_of(type_b));
            card::must_hold("a product", at_c, ((N - 1) * ldc + M) * size_of(type_c));
            std::vector<float> left(N * K), right(K * M);
            for (size_t x = 0; x < N; x++) for (size_t z = 0; z < K; z++) left[x * K + z] = read(at_b, type_b, of_b == CUBLAS_OP_N ? z + x * ldb : x + z * ldb);
            for (size_t z = 0; z < K; z++) for (size_t y = 0; y < M; y++) right[z * M + y] = read(at_a, type_a, of_a == CUBLAS_OP_N ? y + z * lda : z + y * lda);
            const std::vector<float> out = product(left, right, N, K, M);
            for (size_t x = 0; x < N; x++) for (size_t y = 0; y < M; y++) write(at_c, type_c, x * ldc + y, by * out[x * M + y]);
        }
    });
    return CUBLAS_STATUS_SUCCESS;
}

curandStatus_t curandCreateGenerator(curandGenerator_t *made, curandRngType_t) { *made = (curandGenerator_t) new Handle; return CURAND_STATUS_SUCCESS; }
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) { delete (Handle *)generator; return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t, unsigned long long) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) { return CURAND_STATUS_SUCCESS; }

// Descriptors of cuDNN: four sides and a type, or what a convolution does.
struct Sides { int n[4]; cudnnDataType_t type; cudnnTensorFormat_t format; };
struct Way { int padding[2], stride[2]; cudnnDataType_t compute; cudnnMathType_t math; };

cudnnStatus_t cudnnCreate(cudnnHandle_t *made) { *made = (cudnnHandle_t)new Handle; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { delete (Handle *)handle; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) { ((Handle *)handle)->stream = (Stream *)stream; return CUDNN_STATUS_SUCCESS; }
size_t cudnnGetVersion() { return 91000; }
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *made) { *made = (cudnnTensorDescriptor_t)new Sides{}; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t old) { delete (Sides *)old; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t to, cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c, int h, int w) {
    *(Sides *)to = {{n, c, h, w}, type, format};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *made) { *made = (cudnnFilterDescriptor_t)new Sides{}; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t old) { delete (Sides *)old; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t to, cudnnDataType_t type, cudnnTensorFormat_t format, int k, int c, int h, int w) {
    *(Sides *)to = {{k, c, h, w}, type, format};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *made) { *made = (cudnnConvolutionDescriptor_t)new Way{}; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t old) { delete (Way *)old; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t to, int ph, int pw, int sh, int sw, int dh, int dw,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    if (dh != 1 || dw != 1 || mode != CUDNN_CROSS_CORRELATION) refuse("a convolution of this kind");
    *(Way *)to = {{ph, pw}, {sh, sw}, compute, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t to, cudnnMathType_t math) { ((Way *)to)->math = math; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t, int groups) { return groups == 1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED; }
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t,
                                                     const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t, int, int *found,
                                                     cudnnConvolutionFwdAlgoPerf_t *results) {
    *found = 1;
    results[0] = {};
    results[0].algo = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
    results[0].status = CUDNN_STATUS_SUCCESS;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t,
                                                      const cudnnConvolutionDescriptor_t, const cudnnTensorDescriptor_t,
                                                      cudnnConvolutionFwdAlgo_t, size_t *bytes) {
    *bytes = 512;
    return CUDNN_STATUS_SUCCESS;
}

static cudaDataType type_of(cudnnDataType_t type) {
    switch (type) {
        case CUDNN_DATA_HALF: return CUDA_R_16F;
        case CUDNN_DATA_BFLOAT16: return CUDA_R_16BF;
        case CUDNN_DATA_FLOAT: return CUDA_R_32F;
        default: refuse("a type of cuDNN"); return CUDA_R_32F;
    }
}
// Where a number of (n, c, h, w) lies.
static size_t place(const Sides &of, size_t n, size_t c, size_t h, size_t w) {
    const size_t C = of.n[1], H = of.n[2], W = of.n[3];
    return of.format == CUDNN_TENSOR_NHWC ? ((n * H + h) * W + w) * C + c : ((n * C + c) * H + h) * W + w;
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x,
                                      const cudnnFilterDescriptor_t of_weight, const void *weight, const cudnnConvolutionDescriptor_t of_way,
                                      cudnnConvolutionFwdAlgo_t, void *workspace, size_t workspace_bytes, const void *beta,
                                      const cudnnTensorDescriptor_t of_y, void *y) {
    const Sides sx = *(Sides *)of_x, sw = *(Sides *)of_weight, sy = *(Sides *)of_y;
    const Way way = *(Way *)of_way;
    if (workspace_bytes < 512 || *(const float *)alpha != 1.0f || *(const float *)beta != 0.0f) return CUDNN_STATUS_BAD_PARAM;
    for (int i = 0; i < 2; i++) {
        if (sy.n[2 + i] != (sx.n[2 + i] + 2 * way.padding[i] - sw.n[2 + i]) / way.stride[i] + 1) return CUDNN_STATUS_BAD_PARAM;
    }
    if (sx.n[1] != sw.n[1] || sy.n[1] != sw.n[0] || sx.n[0] != sy.n[0]) return CUDNN_STATUS_BAD_PARAM;
    card::enqueue(((Handle *)handle)->stream, [=] {
        const auto all = [](const Sides &of) { return (size_t)of.n[0] * of.n[1] * of.n[2] * of.n[3] * size_of(type_of(of.type)); };
        card::must_hold("a convolution", x, all(sx));
        card::must_hold("a convolution", weight, all(sw));
        card::must_hold("a convolution", y, all(sy));
        card::must_hold("a convolution", workspace, workspace_bytes);
        memset(workspace, 0xff, workspace_bytes);
        const size_t area = (size_t)sy.n[2] * sy.n[3], depth = (size_t)sw.n[1] * sw.n[2] * sw.n[3];
        std::vector<float> left((size_t)sw.n[0] * depth);
        for (int o = 0; o < sw.n[0]; o++) for (int c = 0; c < sw.n[1]; c++) for (int i = 0; i < sw.n[2]; i++) for (int j = 0; j < sw.n[3]; j++)
            left[(((size_t)o * sw.n[1] + c) * sw.n[2] + i) * sw.n[3] + j] = read(weight, type_of(sw.type), place(sw, o, c, i, j));
        for (int n = 0; n < sx.n[0]; n++) {
            std::vector<float> right(depth * area, 0.0f);
            for (int c = 0; c < sx.n[1]; c++) for (int i = 0; i < sw.n[2]; i++) for (int j = 0; j < sw.n[3]; j++)
                for (int h = 0; h < sy.n[2]; h++) for (int w = 0; w < sy.n[3]; w++) {
                    const int from_h = h * way.stride[0] - way.padding[0] + i, from_w = w * way.stride[1] - way.padding[1] + j;
                    if (from_h < 0 || from_w < 0 || from_h >= sx.n[2] || from_w >= sx.n[3]) continue;
                    right[(((size_t)c * sw.n[2] + i) * sw.n[3] + j) * area + (size_t)h * sy.n[3] + w] = read(x, type_of(sx.type), place(sx, n, c, from_h, from_w));
                }
            const std::vector<float> out = product(left, right, sw.n[0], depth, area);
            for (int o = 0; o < sw.n[0]; o++) for (int h = 0; h < sy.n[2]; h++) for (int w = 0; w < sy.n[3]; w++)
                write(y, type_of(sy.type), place(sy, n, o, h, w), out[(size_t)o * area + (size_t)h * sy.n[3] + w]);
        }
    });
    return CUDNN_STATUS_SUCCESS;
}
