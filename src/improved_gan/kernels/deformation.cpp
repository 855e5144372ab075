// The distance of two images under the image deformation model (IDM): a pixel may move by up to `reach` on each axis.
//   d(x, y) = sum_p min_{|m| <= reach} sum_{|q| <= 1} || x(p + q) - y(p + q + m) ||^2,  x, y image gradients (C, H, W)
// image_deformation_model.py has the same in PyTorch operations. cpp_extension.py compiles this file once on the user's machine.
// Loops run over moves m outside and pixels p inside, so that the 3x3 window sums become running sums: one row of
// squares is computed per row of pixels, three rows are added (add_rows), then three columns (keep_least).
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr int64_t kLanes = 16;  // columns per vector; columns beyond the box are computed and never added to the result

typedef float Vector __attribute__((vector_size(64), aligned(4)));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

// Working memory of one thread. The images have a border of zeros as wide as a move and the window (reach + 1), so no
// access is out of bounds, and kLanes spare columns on the right, so no loop needs a remainder.
struct Workspace {
  int64_t channels, height, width, reach, border, tall, across;
  std::vector<float> first, second, sums, best;
  Workspace(int64_t c, int64_t h, int64_t w, int64_t r)
      : channels(c), height(h), width(w), reach(r), border(r + 1), tall(h + 2 * r + 2), across(w + 2 * r + 2 + kLanes),
        first(c * tall * across), second(c * tall * across), sums(h * across), best(h * across) {}
};

void copy(const Workspace& s, const float* image, std::vector<float>& padded) {
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t i = 0; i < s.height; ++i)
      std::memcpy(padded.data() + (c * s.tall + i + s.border) * s.across + s.border,
                  image + (c * s.height + i) * s.width, s.width * sizeof(float));
}

// || x(p) - y(p + m) ||^2 over channels, for sixteen consecutive pixels p; `plane` is the size of one padded channel.
inline Vector differ(const float* first, const float* second, int64_t channels, int64_t plane) {
  Vector sum = {};
  for (int64_t c = 0; c < channels; ++c) {
    Vector difference = load(first + c * plane) - load(second + c * plane);
    sum += difference * difference;
  }
  return sum;
}

// For one move m = (down, right), a box of pixels and one more column on both sides: vertical sums of three squares.
// `sums` has pixel (i, j) at (i, j + 1). Three rows of squares stay in registers; each is computed once.
void add_rows(Workspace& s, const int64_t* box, int64_t down, int64_t right) {
  int64_t plane = s.tall * s.across, move = down * s.across + right;
  for (int64_t j = 0; j < box[3] - box[2] + 2; j += kLanes) {
    int64_t offset = (box[0] - 1 + s.border) * s.across + box[2] - 1 + s.border + j;
    const float *a = s.first.data() + offset, *b = s.second.data() + offset + move;
    float* out = s.sums.data() + box[0] * s.across + box[2] + j;
    Vector above = differ(a, b, s.channels, plane), here = differ(a + s.across, b + s.across, s.channels, plane);
    a += 2 * s.across, b += 2 * s.across;
    for (int64_t i = box[0]; i < box[1]; ++i, a += s.across, b += s.across, out += s.across) {
      Vector below = differ(a, b, s.channels, plane);
      store(out, above + here + below);
      above = here, here = below;
    }
  }
}

// The minimum over moves so far of each pixel's 3x3 window sum: three neighboring columns of `sums`.
void keep_least(Workspace& s, const int64_t* box) {
  for (int64_t i = box[0]; i < box[1]; ++i)
    for (int64_t j = box[2]; j < box[3]; j += kLanes) {
      const float* in = s.sums.data() + i * s.across + j;
      float* out = s.best.data() + i * s.across + j;
      Vector sum = load(in) + load(in + 1) + load(in + 2), least = load(out);
      store(out, sum < least ? sum : least);
    }
}

float distance(Workspace& s, const int64_t* box) {
  std::fill(s.best.begin(), s.best.end(), std::numeric_limits<float>::infinity());
  for (int64_t down = -s.reach; down <= s.reach; ++down)
    for (int64_t right = -s.reach; right <= s.reach; ++right) {
      add_rows(s, box, down, right);
      keep_least(s, box);
    }
  double sum = 0;
  for (int64_t i = box[0]; i < box[1]; ++i)
    for (int64_t j = box[2]; j < box[3]; ++j) sum += s.best[i * s.across + j];
  return static_cast<float>(sum);
}

}  // namespace

extern "C" {

// gradients (N, C, H, W); boxes (N, 4): first row, last row + 1, first column, last column + 1 of the nonzero pixels
// (an all-zero image has the first past the last); first, second (pairs,) image numbers; out (pairs,) distances.
void deformation_distances(const float* gradients, const int64_t* boxes, const int64_t* first, const int64_t* second,
                           float* out, int64_t pairs, int64_t channels, int64_t height, int64_t width, int64_t reach) {
  int64_t size = channels * height * width;
#pragma omp parallel
  {
    Workspace workspace(channels, height, width, reach);
    int64_t present = -1;  // the image in workspace.first: consecutive pairs often share it
#pragma omp for schedule(dynamic, 64)
    for (int64_t k = 0; k < pairs; ++k) {
      const int64_t *a = boxes + 4 * first[k], *b = boxes + 4 * second[k];
      // Outside the union of both boxes, grown by the window's one pixel, the move m = 0 costs nothing.
      int64_t box[4] = {std::max<int64_t>(std::min(a[0], b[0]) - 1, 0), std::min(std::max(a[1], b[1]) + 1, height),
                        std::max<int64_t>(std::min(a[2], b[2]) - 1, 0), std::min(std::max(a[3], b[3]) + 1, width)};
      if (box[0] >= box[1] || box[2] >= box[3]) {
        out[k] = 0.0f;
        continue;
      }
      if (first[k] != present) copy(workspace, gradients + first[k] * size, workspace.first);
      present = first[k];
      copy(workspace, gradients + second[k] * size, workspace.second);
      out[k] = distance(workspace, box);
    }
  }
}

}  // extern "C"
