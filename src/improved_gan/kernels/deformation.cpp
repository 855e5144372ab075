// The distance of two images whose pixels may each move a little (idm_distance.py has the formula and the same in
// PyTorch operations). Compiled once on the user's machine by native.py.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr int64_t kLanes = 16;  // columns are taken so many at a time; what lies beyond the box is never added up

typedef float Vector __attribute__((vector_size(64), aligned(4)));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

// Working memory of one thread; all sheets have a border of zeros, and columns to spare on the right.
struct Sheets {
  int64_t channels, height, width, reach, border, tall, across;
  std::vector<float> first, second, sums, best;
  Sheets(int64_t c, int64_t h, int64_t w, int64_t r)
      : channels(c), height(h), width(w), reach(r), border(r + 1), tall(h + 2 * r + 2), across(w + 2 * r + 2 + kLanes),
        first(c * tall * across), second(c * tall * across), sums(h * across), best(h * across) {}
};

void copy(const Sheets& s, const float* image, std::vector<float>& sheet) {
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t i = 0; i < s.height; ++i)
      std::memcpy(sheet.data() + (c * s.tall + i + s.border) * s.across + s.border, image + (c * s.height + i) * s.width,
                  s.width * sizeof(float));
}

// Squared differences, over channels, of sixteen pixels of the first image and those of the second that they move to.
inline Vector differ(const float* first, const float* second, int64_t channels, int64_t sheet) {
  Vector sum = {};
  for (int64_t c = 0; c < channels; ++c) {
    Vector difference = load(first + c * sheet) - load(second + c * sheet);
    sum += difference * difference;
  }
  return sum;
}

// Of one move, for a box of pixels and a column more on both sides: the sums of three squares, one below the other.
// `sums` has pixel (i, j) at (i, j + 1).
void add_rows(Sheets& s, const int64_t* box, int64_t down, int64_t right) {
  int64_t sheet = s.tall * s.across, move = down * s.across + right;
  for (int64_t j = 0; j < box[3] - box[2] + 2; j += kLanes) {
    int64_t place = (box[0] - 1 + s.border) * s.across + box[2] - 1 + s.border + j;
    const float *a = s.first.data() + place, *b = s.second.data() + place + move;
    float* out = s.sums.data() + box[0] * s.across + box[2] + j;
    Vector above = differ(a, b, s.channels, sheet), here = differ(a + s.across, b + s.across, s.channels, sheet);
    a += 2 * s.across, b += 2 * s.across;
    for (int64_t i = box[0]; i < box[1]; ++i, a += s.across, b += s.across, out += s.across) {
      Vector below = differ(a, b, s.channels, sheet);
      store(out, above + here + below);
      above = here, here = below;
    }
  }
}

// The least, over moves, of the sums of 3 x 3 squares.
void keep_least(Sheets& s, const int64_t* box) {
  for (int64_t i = box[0]; i < box[1]; ++i)
    for (int64_t j = box[2]; j < box[3]; j += kLanes) {
      const float* in = s.sums.data() + i * s.across + j;
      float* out = s.best.data() + i * s.across + j;
      Vector sum = load(in) + load(in + 1) + load(in + 2), least = load(out);
      store(out, sum < least ? sum : least);
    }
}

float distance(Sheets& s, const int64_t* box) {
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

// gradients (N, channels, height, width); boxes (N, 4): first row, last row + 1, first column, last column + 1 of what is
// not 0, an empty one with the first past the last.
void deformation_distances(const float* gradients, const int64_t* boxes, const int64_t* first, const int64_t* second,
                           float* out, int64_t pairs, int64_t channels, int64_t height, int64_t width, int64_t reach) {
  int64_t size = channels * height * width;
#pragma omp parallel
  {
    Sheets sheets(channels, height, width, reach);
    int64_t present = -1;
#pragma omp for schedule(dynamic, 64)
    for (int64_t k = 0; k < pairs; ++k) {
      const int64_t *a = boxes + 4 * first[k], *b = boxes + 4 * second[k];
      // Where neither image has anything within a pixel, staying costs nothing.
      int64_t box[4] = {std::max<int64_t>(std::min(a[0], b[0]) - 1, 0), std::min(std::max(a[1], b[1]) + 1, height),
                        std::max<int64_t>(std::min(a[2], b[2]) - 1, 0), std::min(std::max(a[3], b[3]) + 1, width)};
      if (box[0] >= box[1] || box[2] >= box[3]) {
        out[k] = 0.0f;
        continue;
      }
      if (first[k] != present) copy(sheets, gradients + first[k] * size, sheets.first);
      present = first[k];
      copy(sheets, gradients + second[k] * size, sheets.second);
      out[k] = distance(sheets, box);
    }
  }
}

}  // extern "C"
