// The head: trained on features, asked, and taken apart. No page here.
(() => {
  "use strict";
  const MOMENTUM = 0.9;
  const LOOKS = 50; // at the held-out pictures, during a training run

  // Features come with 32 bits. `dot` is given 64 bits only: for a single type it is compiled better.
  const wide = (values) => Float64Array.from(values);

  function dot(a, b) {
    let [s, t, u, v] = [0, 0, 0, 0]; // four sums, of which none waits for another, are faster
    const n = a.length;
    let i = 0;
    for (; i + 3 < n; i += 4) {
      s += a[i] * b[i];
      t += a[i + 1] * b[i + 1];
      u += a[i + 2] * b[i + 2];
      v += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s += a[i] * b[i];
    return s + t + u + v;
  }

  function argmax(values) {
    let best = 0;
    for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
    return best;
  }

  // Fills `into`, which may be the logits themselves.
  function softmax(logits, into = [...logits]) {
    const most = logits[argmax(logits)];
    let sum = 0;
    for (let k = 0; k < logits.length; k++) sum += into[k] = Math.exp(logits[k] - most);
    for (let k = 0; k < into.length; k++) into[k] /= sum;
    return into;
  }

  // All products of features with features, `rows` × `columns`; lets the page live meanwhile.
  async function products(rows, columns, breathe) {
    const all = [];
    const others = columns.map(wide);
    for (const row of rows.map(wide)) {
      all.push(Float64Array.from(others, (other) => dot(row, other)));
      await breathe();
    }
    return all;
  }

  /* Train a linear head from zero by gradient descent, all pictures in each step: what
     torch.optim.SGD(head.parameters(), lr, momentum=0.9, weight_decay=decay) does with the mean
     cross-entropy. Yields after each step what it has reached; so whoever calls can stop, or draw.

     The weights start at zero, and each step adds multiples of the features of the training pictures.
     So the weights of class k are always a sum of features, Σ alpha[k][i] · features[i], and it is
     enough to train alpha: 244 numbers a class instead of 1,280. Of the features only their products
     are needed: `own`, training × training, and `held`, held-out × training. And as the gradients of
     all classes add up to zero, so do the alphas: those of the last class need no product. */
  function* train({ own, labels, held, heldLabels, numClasses, lr, steps, decay }) {
    const n = labels.length;
    const numbers = (count) => Array.from({ length: numClasses }, () => new Float64Array(count));
    const [alpha, speed, gradient] = [numbers(n), numbers(n), numbers(n)];
    const [bias, biasSpeed] = [new Float64Array(numClasses), new Float64Array(numClasses)];
    const last = numClasses - 1;
    const p = new Float64Array(numClasses); // one array for all, since it is filled so often
    const fillProbabilities = (row) => {
      p[last] = bias[last];
      for (let k = 0; k < last; k++) {
        const product = dot(alpha[k], row);
        p[k] = product + bias[k];
        p[last] -= product;
      }
      return softmax(p, p);
    };
    const every = Math.max(1, Math.ceil(steps / LOOKS));

    for (let step = 0; step <= steps; step++) {
      let [loss, right] = [0, 0];
      for (let i = 0; i < n; i++) {
        fillProbabilities(own[i]);
        loss -= Math.log(Math.max(1e-300, p[labels[i]])) / n;
        right += argmax(p) === labels[i];
        for (let k = 0; k < numClasses; k++) gradient[k][i] = (p[k] - (k === labels[i])) / n;
      }
      const point = { step, loss, right: right / n };
      if (step % every === 0 || step === steps) {
        point.held = held.map((row) => [...fillProbabilities(row)]);
        Object.assign(point, score(point.held, heldLabels));
      }
      yield { point, alpha, bias };
      if (step === steps) return;

      for (let k = 0; k < numClasses; k++) {
        for (let i = 0; i < n; i++) {
          speed[k][i] = MOMENTUM * speed[k][i] + gradient[k][i] + decay * alpha[k][i];
          alpha[k][i] -= lr * speed[k][i];
        }
        const slope = gradient[k].reduce((a, b) => a + b) + decay * bias[k];
        biasSpeed[k] = MOMENTUM * biasSpeed[k] + slope;
        bias[k] -= lr * biasSpeed[k];
      }
    }
  }

  // The mean cross-entropy of held-out pictures, and the share of them that is right.
  function score(probabilities, labels) {
    const costs = probabilities.map((p, i) => -Math.log(Math.max(1e-300, p[labels[i]])));
    const right = probabilities.filter((p, i) => argmax(p) === labels[i]);
    const n = labels.length;
    return { heldLoss: costs.reduce((a, b) => a + b, 0) / n, heldRight: right.length / n }; // NaN of none
  }

  // Alpha and the features of the training pictures → the head as PyTorch has it: `weight`, a row a
  // class, and `bias`.
  function toHead({ alpha, bias }, features) {
    const weight = alpha.map((mine) => {
      const row = new Float64Array(features[0].length);
      for (let i = 0; i < mine.length; i++) {
        const [a, its] = [mine[i], features[i]];
        for (let c = 0; c < row.length; c++) row[c] += a * its[c];
      }
      return row;
    });
    return { weight, bias: Float64Array.from(bias) };
  }

  const logitsOf = ({ weight, bias }, features) =>
    weight.map((row, k) => dot(row, wide(features)) + bias[k]);
  const predict = (head, features) => softmax(logitsOf(head, features));

  /* What each cell of a map says for class k against the mean of the other classes. The features are
     the mean of the map, and the head is linear: so the mean of the votes plus the bias is the logit
     of k minus the mean of the others, exactly. (Zhou et al., 2016, arXiv:1512.04150.) */
  function vote(head, map, k) {
    const { weight, bias } = head;
    const others = weight.length - 1;
    const against = (values) => values.reduce((sum, value, j) => sum + (j === k ? 0 : value), 0) / others;
    const direction = weight[k].map((value, c) => value - against(weight.map((row) => row[c])));
    const size = direction.length;
    const cells = Array.from({ length: map.length / size }, (_, cell) =>
      dot(direction, wide(map.subarray(size * cell, size * (cell + 1)))),
    );
    const mean = cells.reduce((a, b) => a + b) / cells.length;
    const ownBias = bias[k] - against([...bias]);
    return { cells, mean, bias: ownBias, logit: mean + ownBias };
  }

  function cosine(first, second) {
    const [a, b] = [wide(first), wide(second)];
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  }

  // The 95 % interval of a share of n, after Wilson (1927).
  function wilson(share, n) {
    const z = 1.959964;
    const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
    const reach = (z * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))) / (1 + z ** 2 / n);
    return [middle - reach, middle + reach];
  }

  // Random numbers from 0 to 1 that are the same for the same seed (mulberry32), and an order of n.
  function random(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }
  function shuffled(values, seed) {
    const next = random(seed);
    const order = [...values];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  Object.assign(Teach, {
    argmax, products, train, toHead, logitsOf, predict, vote, cosine, wilson, shuffled,
  });
})();
