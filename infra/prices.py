"""Prices in US dollars, us-east-1, on demand, without any free tier unless a line says so.

Lists of 2025 and the first half of 2026, entered by hand: AWS changes them rarely and downwards.
`SOURCES` has the page of each; other regions cost up to a fifth more.
"""

REGION = "us-east-1"
AS_OF = "2026-06"

MONTH_HOURS = 730
MONTH_SECONDS = MONTH_HOURS * 3600

HTTP_API_MILLION = (1.00, 0.90)
"""The first 300 million requests a month, and those above."""
HTTP_API_TIER = 300e6
LAMBDA_MILLION = 0.20
LAMBDA_GB_SECOND = 0.0000133334
SNAPSTART_CACHE_GB_SECOND = 0.0000015046
SNAPSTART_RESTORE_GB = 0.0001397998
EXPRESS_MILLION = 1.00
EXPRESS_GB_SECOND = 0.00001667
EXPRESS_MEMORY_GB = 0.0625
CACHE_GB_HOUR = 0.084
CACHE_MINIMUM_GB = 0.1
CACHE_MILLION_ECPU = 0.0023
EC2_HOUR = {
    "t4g.small": 0.0168,
    "t4g.medium": 0.0336,
    "m7g.large": 0.0816,
    "m7g.xlarge": 0.1632,
}
GP3_GB_MONTH = 0.08
SNAPSHOT_GB_MONTH = 0.05
PUBLIC_IPV4_HOUR = 0.005
NAT_HOUR = 0.045
ENDPOINT_HOUR = 0.01
SECRET_MONTH = 0.40
KMS_KEY_MONTH = 1.00
HOSTED_ZONE_MONTH = 0.50
CLOUDFRONT_MILLION = 1.00
CLOUDFRONT_FUNCTION_MILLION = 0.10
CLOUDFRONT_ORIGIN_GB = 0.02
CLOUDFRONT_OUT_GB = 0.085
CLOUDFRONT_FREE_REQUESTS = 10e6
CLOUDFRONT_FREE_FUNCTIONS = 2e6
CLOUDFRONT_FREE_GB = 1024
"""CloudFront's free tier does not end after a year, so it is counted."""
LOG_GB = 0.50
ALARM_MONTH = 0.10
BOARD_MONTH = 3.00
CUSTOM_METRIC = ((10_000, 0.30), (240_000, 0.10), (750_000, 0.05), (float("inf"), 0.02))
"""(metrics in this tier, price of each a month)."""
PUT_METRIC_THOUSAND = 0.01
XRAY_MILLION = 5.00
S3_GB_MONTH = 0.023
SQS_MILLION = 0.40

AMP_SAMPLES = ((2e9, 0.90), (250e9, 0.35), (float("inf"), 0.16))
"""(samples a month in this tier, price of ten million)."""
AMP_SAMPLE_BYTES = 2
AMP_GB_MONTH = 0.03
AMP_BILLION_READ = 0.10
PROMETHEUS_SAMPLE_BYTES = 2
"""The upper end of what Prometheus' documentation gives."""

DATADOG_HOST = 15.00
DATADOG_INCLUDED_PER_HOST = 100
DATADOG_HUNDRED_METRICS = 5.00
GRAFANA_MONTH = 19.00
GRAFANA_INCLUDED = 10_000
GRAFANA_THOUSAND_SERIES = 6.50

SOURCES = {
    "API Gateway": "https://aws.amazon.com/api-gateway/pricing/",
    "Lambda and SnapStart": "https://aws.amazon.com/lambda/pricing/",
    "Step Functions": "https://aws.amazon.com/step-functions/pricing/",
    "ElastiCache": "https://aws.amazon.com/elasticache/pricing/",
    "EC2": "https://aws.amazon.com/ec2/pricing/on-demand/",
    "EBS": "https://aws.amazon.com/ebs/pricing/",
    "VPC": "https://aws.amazon.com/vpc/pricing/",
    "PrivateLink": "https://aws.amazon.com/privatelink/pricing/",
    "Secrets Manager": "https://aws.amazon.com/secrets-manager/pricing/",
    "CloudFront": "https://aws.amazon.com/cloudfront/pricing/",
    "CloudWatch and X-Ray": "https://aws.amazon.com/cloudwatch/pricing/",
    "S3": "https://aws.amazon.com/s3/pricing/",
    "SQS": "https://aws.amazon.com/sqs/pricing/",
    "Amazon Managed Prometheus": "https://aws.amazon.com/prometheus/pricing/",
    "Prometheus' storage": "https://prometheus.io/docs/prometheus/latest/storage/",
    "Datadog": "https://www.datadoghq.com/pricing/list/",
    "Grafana Cloud": "https://grafana.com/pricing/",
}
