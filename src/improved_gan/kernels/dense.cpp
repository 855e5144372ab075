// The parts of a dense layer that are no matrix product, in few passes over memory. bfloat16 is the upper half of a
// float32; sums run in float32. Compiled once on the user's machine by native.py and called by dense_operations.py.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

using bf16 = uint16_t;

inline float up(bf16 value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

inline bf16 down(float value) {  // to the nearest, ties to even; not a number stays so
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<bf16>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

// e^x for x <= 0, to a few units in the last place: the power of two nearest to it times a series. No branch, no table,
// so loops over it are vectorised.
inline float power(float x) {
  x = x < -87.0f ? -87.0f : x;
  float whole = __builtin_rintf(x * 1.44269504f);
  float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // x - whole log 2, in two parts
  float series = 1.0f + r * (1.0f + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f + r * (8.3333333e-3f + r * 1.3888889e-3f)))));
  uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(whole) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return scale * series;
}

// log(1 + t) for 0 <= t <= 1, by the series of artanh(t / (2 + t)).
inline float log_of_one_plus(float t) {
  float s = t / (2.0f + t), q = s * s;
  return 2.0f * s * (1.0f + q * (0.333333333f + q * (0.2f + q * (0.142857143f + q * (0.111111111f + q * (0.0909090909f + q * 0.0769230769f))))));
}

inline float softplus(float x) { return (x > 0.0f ? x : 0.0f) + log_of_one_plus(power(-std::fabs(x))); }

inline float sigmoid(float x) {
  float t = power(-std::fabs(x));
  return (x < 0.0f ? t : 1.0f) / (1.0f + t);
}

typedef bf16 Vector __attribute__((vector_size(16), aligned(2)));

inline Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
inline Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

// Eight rows of eight: interleaving rows i and i + 4 three times turns them.
inline void transpose_tile(const bf16* in, bf16* out, int64_t in_stride, int64_t out_stride) {
  Vector a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = *reinterpret_cast<const Vector*>(in + i * in_stride);
  for (int stage = 0; stage < 3; ++stage) {
    for (int i = 0; i < 4; ++i) {
      b[2 * i] = low(a[i], a[i + 4]);
      b[2 * i + 1] = high(a[i], a[i + 4]);
    }
    for (int i = 0; i < 8; ++i) a[i] = b[i];
  }
  for (int i = 0; i < 8; ++i) *reinterpret_cast<Vector*>(out + i * out_stride) = a[i];
}

// out (columns, rows) = the transpose of in (rows, columns).
void transpose(const bf16* __restrict in, bf16* __restrict out, int64_t rows, int64_t columns) {
  int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < whole_columns; j += 8) {
    for (int64_t i = 0; i < whole_rows; i += 8) transpose_tile(in + i * columns + j, out + j * rows + i, columns, rows);
    for (int64_t k = j; k < j + 8; ++k)
      for (int64_t i = whole_rows; i < rows; ++i) out[k * rows + i] = in[i * columns + k];
  }
  for (int64_t j = whole_columns; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) out[j * rows + i] = in[i * columns + j];
}

constexpr int64_t kStrip = 64;  // columns whose sums over the rows are taken at a time

}  // namespace

extern "C" {

// out = x + std (a + b): noise of deviation std where a and b hold normal numbers of variance 1/2.
void add_noise(const bf16* __restrict x, const bf16* __restrict a, const bf16* __restrict b, float std,
               bf16* __restrict out, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) out[i] = down(up(x[i]) + std * (up(a[i]) + up(b[i])));
}

// h = max(z + bias, 0), noisy = h + std (a + b); z becomes h.
void activate(bf16* __restrict z, const float* __restrict bias, const bf16* __restrict a, const bf16* __restrict b,
              float std, bf16* __restrict noisy, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    bf16* row = z + i * columns;
    const bf16 *row_a = a + i * columns, *row_b = b + i * columns;
    bf16* row_noisy = noisy + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      float value = up(row[j]) + bias[j];
      value = value < 0.0f ? 0.0f : value;
      row[j] = down(value);
      row_noisy[j] = down(value + std * (up(row_a[j]) + up(row_b[j])));
    }
  }
}

// grad becomes grad where h > 0, else 0.
void gate(bf16* __restrict grad, const bf16* __restrict h, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) grad[i] = static_cast<int16_t>(h[i]) > 0 ? grad[i] : 0;
}

// The same, and its transpose (columns, rows) for the product with the inputs, and bias_grad (columns,) its column sums.
void gate_and_turn(bf16* __restrict grad, const bf16* __restrict h, bf16* __restrict turned, float* __restrict bias_grad,
                   int64_t rows, int64_t columns) {
  gate(grad, h, rows * columns);
  transpose(grad, turned, rows, columns);
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < columns; ++j) {
    float sum = 0.0f;
    const bf16* row = turned + j * rows;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < rows; ++i) sum += up(row[i]);
    bias_grad[j] = sum;
  }
}

// norm_j = ||v_j||; w = g v / norm in bfloat16 (rows, columns).
void normalize(const float* __restrict v, const float* __restrict g, float* __restrict norm, bf16* __restrict w,
               int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
    norm[i] = std::sqrt(sum);
    float scale = g[i] / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) w[i * columns + j] = down(scale * row[j]);
  }
}

// v_grad = (g / norm) (dw - v (dw . v) / norm^2), g_grad = (dw . v) / norm: the gradient through w = g v / norm.
void through_normalization(const bf16* __restrict dw, const float* __restrict v, const float* __restrict g,
                           const float* __restrict norm, float* __restrict v_grad, float* __restrict g_grad,
                           int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    const bf16* row_dw = dw + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += up(row_dw[j]) * row[j];
    float scale = g[i] / norm[i], along = scale * sum / (norm[i] * norm[i]);
    g_grad[i] = sum / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) v_grad[i * columns + j] = scale * up(row_dw[j]) - along * row[j];
  }
}

// Batch norm with a shift, then softplus: out = softplus((x - mean) inverse + shift) over the rows of x, mean and
// inverse = 1 / sqrt(var + eps) of each column; running statistics move by the share `momentum`, with the unbiased variance.
void batch_norm_softplus(const bf16* __restrict x, const float* __restrict shift, float* __restrict running_mean,
                         float* __restrict running_var, float momentum, float eps, float* __restrict mean,
                         float* __restrict inverse, bf16* __restrict out, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {}, squares[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) sums[j - first] += up(x[i * columns + j]);
    for (int64_t j = first; j < end; ++j) mean[j] = sums[j - first] / rows;
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float apart = up(x[i * columns + j]) - mean[j];
        squares[j - first] += apart * apart;
      }
    for (int64_t j = first; j < end; ++j) {
      inverse[j] = 1.0f / std::sqrt(squares[j - first] / rows + eps);
      running_mean[j] += momentum * (mean[j] - running_mean[j]);
      running_var[j] += momentum * (squares[j - first] / (rows - 1) - running_var[j]);
    }
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j)
        out[i * columns + j] = down(softplus((up(x[i * columns + j]) - mean[j]) * inverse[j] + shift[j]));
  }
}

// From the gradient at `out` above, which is overwritten, to that at x (rows, columns) and turned, and of the shift.
void through_batch_norm_softplus(bf16* __restrict grad, const bf16* __restrict x, const float* __restrict shift,
                                 const float* __restrict mean, const float* __restrict inverse,
                                 float* __restrict shift_grad, bf16* __restrict turned, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {}, along[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float normal = (up(x[i * columns + j]) - mean[j]) * inverse[j];
        float through = up(grad[i * columns + j]) * sigmoid(normal + shift[j]);
        grad[i * columns + j] = down(through);
        sums[j - first] += through;
        along[j - first] += through * normal;
      }
    for (int64_t j = first; j < end; ++j) shift_grad[j] = sums[j - first];
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float normal = (up(x[i * columns + j]) - mean[j]) * inverse[j];
        float centerd = up(grad[i * columns + j]) - (sums[j - first] + normal * along[j - first]) / rows;
        grad[i * columns + j] = down(inverse[j] * centerd);
      }
  }
  transpose(grad, turned, rows, columns);
}

// out = sigmoid(x + bias), float32: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient.
void bias_sigmoid(const bf16* __restrict x, const float* __restrict bias, float* __restrict out, int64_t rows,
                  int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) out[i * columns + j] = sigmoid(up(x[i * columns + j]) + bias[j]);
}

// From the gradient at `out` above to that at x (rows, columns), also turned, and of the bias.
void through_sigmoid(const float* __restrict out_grad, const float* __restrict out, bf16* __restrict grad,
                     bf16* __restrict turned, float* __restrict bias_grad, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float value = out[i * columns + j], through = out_grad[i * columns + j] * value * (1.0f - value);
        grad[i * columns + j] = down(through);
        sums[j - first] += through;
      }
    for (int64_t j = first; j < end; ++j) bias_grad[j] = sums[j - first];
  }
  transpose(grad, turned, rows, columns);
}

}  // extern "C"
