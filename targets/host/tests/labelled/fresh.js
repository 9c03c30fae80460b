'use strict';
// Keeps a window of measurements and tells listeners when they leave their bounds.

const EventEmitter = require('node:events');
const { performance } = require('node:perf_hooks');
const debug = require('debug')('meter');

const kHandle = Symbol('handle');
const DEFAULTS = Object.freeze({ size: 60, interval: 1000, bounds: [-Infinity, Infinity] });
let instances = 0, lastId;

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
}

const deviation = (values) => {
  const center = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
};

class Meter extends EventEmitter {
  static #open = new Map();
  limit = Number.MAX_SAFE_INTEGER;

  constructor(read, options = {}) {
    super();
    this.options = { ...DEFAULTS, ...options };
    this.read = read;
    this.values = [];
    lastId = `meter-${++instances}`;
    Meter.#open.set(lastId, this);
  }

  static all() {
    return [...Meter.#open.values()];
  }

  start() {
    if (this[kHandle]) throw new Error('started twice');
    this[kHandle] = setInterval(() => this.sample().catch((error) => this.emit('error', error)), this.options.interval);
    this[kHandle].unref?.();
    return this;
  }

  async sample() {
    const begun = performance.now();
    const value = await this.read();
    debug('read %d in %d ms', value, performance.now() - begun);
    this.values.push(value);
    while (this.values.length > this.options.size) this.values.shift();
    const [low, high] = this.options.bounds;
    if (value < low || value > high) this.emit('bounds', { value, ...this.summary });
  }

  get summary() {
    return { mean: mean(this.values), deviation: deviation(this.values) };
  }

  set interval(millis) {
    this.options.interval = millis;
    this.restart();
  }

  restart = () => {
    clearInterval(this[kHandle]);
    this[kHandle] = undefined;
    this.start();
  };
}

Meter.prototype.close = function close() {
  clearInterval(this[kHandle]);
  this.removeAllListeners();
};

exports.watch = function (read, ...rest) {
  const meter = new Meter(read, ...rest).start();
  process.once('exit', () => meter.close());
  return meter;
};

module.exports.Meter = Meter;
